import re
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from gemini_workshop.authoring.stories import plots
from gemini_workshop.authoring.stories.cast import begin_story
from gemini_workshop.authoring.stories.generator import MAX_WORDS, MIN_WORDS, generate_stories, write_stories
from gemini_workshop.authoring.stories.grammar import read_grammar
from gemini_workshop.authoring.stories.plots import plot_names, tell_plot
from gemini_workshop.authoring.stories.teller import Teller
from gemini_workshop.data.corpora import load_documents, samples_folder

CAST = read_grammar("cast")
SHE_NAMES, HE_NAMES = {*CAST["girls"], *CAST["she_animals"]}, {*CAST["boys"], *CAST["he_animals"]}
NAMES = {*SHE_NAMES, *HE_NAMES, *CAST["elders"], *CAST["animal_elders"]}


@pytest.fixture(scope="module")
def stories() -> list[str]:
    return load_documents("stories")


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def distinct_share(stories: list[str], length: int) -> float:
    runs = [tuple(words[i : i + length]) for words in map(words_of, stories) for i in range(len(words) - length + 1)]
    return len(set(runs)) / len(runs)


def opening_pattern(story: str) -> str:
    """The first four words, names and kinds masked."""
    words = re.findall(r"[\w']+", story)[:4]
    return " ".join("*" if word in NAMES or word in CAST["kinds"] else word for word in words)


def statistics_of(stories: list[str]) -> dict[str, str]:
    lengths = [len(words_of(story)) for story in stories]
    (_, commonest), *_ = Counter(map(opening_pattern, stories)).most_common(1)
    return {
        "stories": f"{len(stories):,}",
        "words": f"{sum(lengths):,}",
        "characters": f"{sum(map(len, stories)):,}",
        "distinct words, names included": f"{len({word for story in stories for word in words_of(story)}):,}",
        "words in a story: shortest, median, longest": ", ".join(
            f"{length:.0f}" for length in (min(lengths), statistics.median(lengths), max(lengths))
        ),
        "runs of 8 words that are distinct": f"{distinct_share(stories, 8):.1%}",
        "stories that share the commonest opening": f"{commonest / len(stories):.1%}",
    }


def test_the_committed_file_is_what_the_generator_writes(tmp_path):
    write_stories(tmp_path / "stories.txt")
    committed = (samples_folder() / "stories.txt").read_text("utf-8")
    assert committed == (tmp_path / "stories.txt").read_text("utf-8")


def test_the_module_writes_the_file_named(tmp_path):
    path = tmp_path / "out.txt"
    subprocess.run(
        [sys.executable, "-m", "gemini_workshop.authoring.stories.generator", str(path)], check=True, timeout=120
    )
    assert path.read_bytes().endswith(b"\n<|endoftext|>\n")


def test_another_seed_tells_other_stories(stories):
    assert not set(generate_stories(50, seed=1)) & set(stories)


def test_there_are_a_thousand_distinct_stories_in_less_than_a_megabyte(stories):
    assert len(set(stories)) == len(stories) == 1000
    assert (samples_folder() / "stories.txt").stat().st_size < 1_000_000


def test_stories_are_short(stories):
    assert all(MIN_WORDS <= len(story.split()) <= MAX_WORDS for story in stories)


def test_the_vocabulary_is_small(stories):
    assert 300 <= len({word for story in stories for word in words_of(story)}) <= 1500


def test_long_runs_of_words_seldom_repeat(stories):
    assert distinct_share(stories, 8) > 0.75
    assert distinct_share(stories, 20) > 0.97


def test_no_story_is_close_to_another(stories):
    """Half of a story's five-word runs in one other story would be a template with the names changed."""
    runs = [{tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in map(words_of, stories)]
    holders: dict[tuple[str, ...], list[int]] = {}
    for number, some in enumerate(runs):
        for run in some:
            holders.setdefault(run, []).append(number)
    shared: Counter[tuple[int, int]] = Counter()
    for numbers in holders.values():
        shared.update((a, b) for i, a in enumerate(numbers) for b in numbers[i + 1 :])
    (a, b), most = shared.most_common(1)[0]
    assert most / min(len(runs[a]), len(runs[b])) < 0.5


def test_no_opening_begins_more_than_a_few_per_cent(stories):
    assert Counter(map(opening_pattern, stories)).most_common(1)[0][1] <= 0.05 * len(stories)


def test_no_closing_sentence_ends_more_than_a_few_per_cent(stories):
    endings = Counter(re.sub("|".join(NAMES), "*", re.split(r"(?<=[.!?\"]) ", story)[-1]) for story in stories)
    assert endings.most_common(1)[0][1] <= 0.05 * len(stories)


def test_every_plot_is_told_about_equally_often():
    teller, told = Teller(seed=3), Counter()
    for _ in range(160):
        told[teller.deal(plot_names(), "plots")] += 1
    assert len(plot_names()) >= 8
    assert set(told.values()) == {10}


def test_nothing_of_the_grammar_is_left_over(stories):
    assert [story for story in stories if re.search(r"[{}<>\[\]|@~_\x00-\x09\x0b-\x1f]|None", story)] == []
    assert all(story.isascii() for story in stories)


def test_spacing_and_punctuation_are_right(stories):
    wrong = re.compile(r"  | \n|\n | [.,!?]|[.,!?]{2}|\n{3}|,\"[^ ]|[.!?] [a-z]|^[a-z]|\n[a-z]|[a-z]$")
    assert [match.group() for story in stories for match in wrong.finditer(story)] == []


def test_quotes_are_closed_in_their_paragraph(stories):
    assert all(paragraph.count('"') % 2 == 0 for story in stories for paragraph in story.split("\n\n"))


def test_articles_fit_the_next_word(stories):
    text = "\n".join(stories)
    assert re.findall(r"\b[Aa] [aeiou]\w+", text) == []
    assert set(re.findall(r"\b[Aa]n ([^aeiou]\w+)", text)) <= {"hour"}
    assert re.findall(r"\b(the a|a the|a an|the the|a a|an an) ", text) == []


def test_no_word_stands_twice_by_mistake(stories):
    doubled = {word for story in stories for word in re.findall(r"\b(\w+) \1\b", story)}
    assert doubled <= {"again"}


def test_hero_and_friend_never_share_a_pronoun():
    teller = Teller(seed=5)
    for _ in range(200):
        begin_story(teller)
        hero, friend = teller.cast["hero"], teller.cast["friend"]
        assert {hero.gender, friend.gender} == {"he", "she"}
        assert hero.name != friend.name


def test_a_name_stands_for_one_gender_and_is_no_part_of_another():
    assert not SHE_NAMES & HE_NAMES
    assert [(a, b) for a in NAMES for b in NAMES if a != b and a in b] == []


def test_what_is_lost_is_found_where_it_was_left():
    teller = Teller(seed=7)
    for _ in range(60):
        begin_story(teller)
        tell_plot(teller, "lost")
        text = teller.text()
        thing, spot, memory = (teller.cast[fact] for fact in ("thing", "spot", "memory"))
        _, remembered, found = text.partition(memory) if memory in text else text.partition(teller.cast["Memory"])
        assert remembered
        assert spot in found
        assert text.count(thing) >= 2


def test_every_fact_that_a_plot_settles_is_told_and_every_list_of_words_is_used():
    facts, plots_by_name = read_grammar("facts"), read_grammar("plots")["plots"]
    steps = [step for plot in plots_by_name.values() for step in plot["facts"]]
    text = yaml.safe_dump([CAST, facts, plots_by_name], width=10**6)
    words = {*re.findall(r"@(\w+)", text), *(step["two_of"] for step in steps if "two_of" in step)} - {"{attempts}"}
    words |= {"general", "later", *(record["attempts"] for record in facts["stuck"])}
    assert words == read_grammar("words").keys()
    assert sorted(step["deal"] for step in steps if "deal" in step) == sorted(facts)
    names = {name for table in facts.values() for record in table for name in record}
    assert [name for name in names if f"{{{name}}}" not in text and f"{{{name.capitalize()}}}" not in text] == []


def test_a_step_that_does_not_exist_is_an_error(monkeypatch):
    plot = {"facts": [{"draw": "losses"}], "beats": []}
    monkeypatch.setattr(plots, "read_grammar", {"plots": {"plots": {"odd": plot}}}.__getitem__)
    with pytest.raises(ValueError, match=r"{'draw': 'losses'} is not a step of a plot"):
        tell_plot(Teller(seed=1), "odd")


@pytest.mark.parametrize("plot", plot_names())
def test_every_plot_can_be_told_with_every_sentence(plot):
    teller = Teller(seed=11)
    for _ in range(60):
        begin_story(teller)
        tell_plot(teller, plot)
        assert len(teller.text().split()) > 60


def test_the_data_card_states_what_is_so(stories):
    card = (Path(samples_folder()) / "README.md").read_text("utf-8")
    for what, value in statistics_of(stories).items():
        assert f"| {what} | {value} |" in card
