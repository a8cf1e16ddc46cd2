"""The decks say what the lessons say, can be read from the back row, and are built from what is committed."""

import json
import re
import sys
from importlib import metadata

import matplotlib.pyplot as plt
import pytest
from packaging.requirements import Requirement

from gemini_workshop.authoring.slides import decks, facts, figures, fitting
from gemini_workshop.authoring.source import find_sources, read_lesson
from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.visualization.theme import READABLE, contrast
from tests.clone import TOP
from tests.test_packaging import PROJECT

typst = pytest.importorskip("typst")
SLIDES, NOTEBOOKS = TOP / "slides", TOP / "notebooks"
DECKS = decks.find_decks(SLIDES)
LESSONS = {
    "01": ["01"],
    "02": ["02", "03", "04", "05", "06"],
    "03": ["07", "08", "09"],
    "04": ["10", "11", "12"],
    "05": ["13"],
}
EXPONENT = 0.7  # of its power's size, as Matplotlib sets it


@pytest.fixture(scope="module")
def cited():
    return decks.facts_for(SLIDES, NOTEBOOKS)


def deck_with(tmp_path, body):
    """A deck of the given slides beside the real theme."""
    (tmp_path / "theme.typ").write_text((SLIDES / "theme.typ").read_text("utf-8"), "utf-8")
    path = tmp_path / "00_test.typ"
    path.write_text('#import "theme.typ": *\n#show: body => deck("Test", body)\n' + body, "utf-8")
    return path


def num_pages(deck, cited, notes="no"):
    pages = decks.compiled(deck, cited, notes=notes, format="png", ppi=4)
    return 1 if isinstance(pages, bytes) else len(pages)


# --- the committed decks ---


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)
def test_a_committed_deck_is_what_its_sources_give(deck, cited):
    for name, content in decks.pdfs_of(deck, cited).items():
        committed = (SLIDES / name).read_bytes()
        if sys.platform == "linux" and metadata.version("typst") == decks.TYPST:
            assert committed == content, f"{name} is out of date: run make slides"
        assert len(committed) < 3_000_000


def test_the_decks_are_built_with_the_version_that_is_asked_for():
    (line,) = PROJECT["project"]["optional-dependencies"]["slides"]
    assert decks.TYPST in Requirement(line).specifier


def test_no_figure_is_out_of_date():
    assert figures.out_of_date(SLIDES, NOTEBOOKS, figures.cited(DECKS)) == [], "run make slides"


def test_no_figure_is_kept_that_no_deck_shows():
    kept = {path.stem for path in (SLIDES / "figures").glob("*.svg")}
    assert kept == set(figures.cited(DECKS)) == set(figures.read_record(SLIDES))


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)
def test_a_deck_has_twenty_to_thirty_five_slides(deck, cited):
    assert 20 <= num_pages(deck, cited) <= 35


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)
def test_each_exercise_is_tried_and_then_answered(deck):
    text = deck.read_text("utf-8")
    tried = [(m.start(), m[1]) for m in re.finditer(r'\("(\d\d\.\d+)", \[', text)]
    answered = [
        (m.start(), name) for m in re.finditer(r"#answer\(([^)\[]*)", text) for name in re.findall(r"\d\d\.\d+", m[1])
    ]
    expected = [name for name in all_exercises() if name[:2] in LESSONS[deck.stem[:2]]]
    assert [name for _, name in tried] == expected
    assert sorted(name for _, name in answered) == expected
    first_answer = {name: place for place, name in answered}
    assert all(place < first_answer[name] for place, name in tried)


# --- from the back row ---


@pytest.mark.parametrize("path", sorted((SLIDES / "figures").glob("*.svg")), ids=lambda path: path.stem)
def test_the_texts_of_a_figure_are_large_and_dark_enough(path):
    drawn, about = path.read_text("utf-8"), figures.read_record(SLIDES)[path.stem]
    enlarged = about["width"] / float(fitting.SIZE.search(drawn)[1])
    for kind, style in re.findall(r'<(text|tspan)[^>]*style="([^"]*)"', drawn):
        size = re.search(r"font-size: ([\d.]+)px", style)
        smallest = fitting.READABLE_POINTS * (EXPONENT if kind == "tspan" else 0.975)
        assert size is None or float(size[1]) * enlarged >= smallest, style
        color = re.search(r"fill: (#\w+)", style)
        if color and color[1] not in ("#ffffff",):
            assert contrast(color[1]) >= READABLE, style


def test_every_size_of_text_in_the_theme_and_the_decks_can_be_read():
    for path in (SLIDES / "theme.typ", *DECKS):
        for size in re.findall(r"size: (\d[\d.]*)pt", path.read_text("utf-8")):
            assert float(size) >= fitting.READABLE_POINTS, f"{path.name}: {size}pt"


def test_the_inks_of_the_theme_can_be_read_on_white():
    for name, color in facts.colors().items():
        if name == "text" or name.endswith("-ink"):
            assert contrast(color) >= READABLE, name
    for color in re.findall("#[0-9a-f]{6}", facts.syntax()):
        assert contrast(color) >= READABLE


# --- what stops a build ---


def test_a_slide_that_overflows_stops_the_build(tmp_path, cited):
    fits = deck_with(tmp_path, "#slide[One][#block(height: 300pt)[x]]")
    assert num_pages(fits, cited) == 1
    overflows = deck_with(tmp_path, "#slide[One][#block(height: 500pt)[x]]")
    with pytest.raises(typst.TypstError, match="overflows by"):
        num_pages(overflows, cited)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('#slide[One][#printed("01", "nothing prints this")]', "prints no line"),
        ('#slide[One][#number("01", "nothing prints (this)")]', "prints nothing like"),
        ('#slide[One][#drawn("01-nothing")]', "was not drawn"),
    ],
)
def test_what_no_lesson_has_cannot_be_cited(tmp_path, cited, body, says):
    with pytest.raises(typst.TypstError, match=says):
        num_pages(deck_with(tmp_path, body), cited)


def test_a_pdf_is_the_same_each_time(tmp_path, cited):
    deck = deck_with(tmp_path, "#slide[One][Two]")
    assert decks.pdfs_of(deck, cited) == decks.pdfs_of(deck, cited)


# --- what a deck cites ---


def test_minutes_and_answers_are_those_of_the_course(cited):
    known = json.loads(cited)
    assert known["exercises"]["01.1"]["minutes"] == all_exercises()["01.1"].minutes
    assert known["exercises"]["01.1"]["answer"].splitlines()[0].startswith("def rnn_step(x, state, ")
    assert "the averages differ by" in known["lessons"]["01"]["printed"]
    assert sum(option["right"] for option in known["quizzes"]["01"][0]["options"]) == 1


def test_each_answer_is_complete_python():
    for path in find_sources(NOTEBOOKS):
        for name, answer in facts.answers_of(read_lesson(path)).items():
            compile(answer, name, "exec")


def test_an_answer_has_no_comments_types_or_docstrings():
    (path,) = find_sources(NOTEBOOKS, ["01"])
    answers = "\n".join(facts.answers_of(read_lesson(path)).values())
    assert "Float[" not in answers
    assert "#" not in answers
    assert '"""' not in answers


def test_a_long_line_is_broken_after_a_comma_in_brackets():
    line = "def f(" + ", ".join(f"argument_{i}" for i in range(12)) + "):"
    parts = facts.fold(line)
    assert max(map(len, parts)) <= facts.LONGEST_LINE < len(line)
    assert "".join(part.strip() + " " for part in parts).strip() == line
    assert facts.fold("x = " + "a" * 100) == ["x = " + "a" * 100]


# --- figures ---


def test_figures_are_called_after_what_draws_them():
    (path,) = find_sources(NOTEBOOKS, ["01"])
    names = figures.sources_of(read_lesson(path), NOTEBOOKS)
    assert {"01-pulse", "01-recall", "01-recall-2"} <= set(names)
    assert "01-seconds" not in names, "a cell that is not run when a lesson is built"


def test_a_figure_whose_lesson_has_changed_is_out_of_date(tmp_path):
    record = figures.read_record(SLIDES)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "01-pulse.svg").write_text("<svg/>")
    entry = record["01-pulse"]
    for source, stale in ((entry["source"], []), (entry["source"] | {"code": "another"}, ["01-pulse"])):
        (tmp_path / "figures" / figures.RECORD).write_text(json.dumps({"01-pulse": {**entry, "source": source}}))
        assert figures.out_of_date(tmp_path, NOTEBOOKS, ["01-pulse"]) == stale
    with pytest.raises(WorkshopError, match="01-puls"):
        figures.out_of_date(tmp_path, NOTEBOOKS, ["01-puls"])


def test_a_figure_that_no_deck_shows_is_forgotten(tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("01-a", "01-b"):
        (tmp_path / "figures" / f"{name}.svg").write_text("<svg/>")
    (tmp_path / "figures" / figures.RECORD).write_text(json.dumps({"01-a": {}, "01-b": {}}))
    figures.forget(tmp_path, ["01-b"])
    assert figures.read_record(tmp_path) == {"01-b": {}}
    assert not (tmp_path / "figures" / "01-a.svg").exists()


def test_a_figure_loses_its_title_to_the_slide_and_gets_larger_texts(tmp_path):
    figure, axes = plt.subplots()
    axes.set_title("The finding", loc="left")
    small = axes.text(0, 0, "small", size=6)
    fitting.write_svg(figure, str(tmp_path / "one.svg"))
    about = json.loads((tmp_path / "one.json").read_text("utf-8"))
    assert about["title"] == "The finding"
    assert "The finding" in about["alt"]
    assert axes.get_title("left") == ""
    assert small.get_fontsize() == fitting.SMALLEST
    assert about["width"] <= fitting.ROOM[0]
    assert about["height"] <= fitting.ROOM[1]
    plt.close(figure)


def test_a_diagram_keeps_its_shape():
    figure, axes = plt.subplots(figsize=(14, 3))
    axes.axis("off")
    text = axes.text(0, 0, "small", size=6)
    fitting.fit(figure, fitting.WIDE)
    assert tuple(figure.get_size_inches()) == (14, 3)
    assert text.get_fontsize() > fitting.SMALLEST
    plt.close(figure)
