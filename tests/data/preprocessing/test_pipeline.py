import itertools
import os
import random
import tracemalloc

import pytest
from datasketch import MinHash as TheirMinHash
from datasketch import MinHashLSH

from gemini_workshop.data.corpora import load_documents
from gemini_workshop.data.preprocessing.deduplication import shingles
from gemini_workshop.data.preprocessing.pipeline import Recipe, preprocess
from gemini_workshop.data.preprocessing.quality import QualityLimits
from gemini_workshop.data.preprocessing.report import EXAMPLE_CHARACTERS, EXAMPLES_PER_REASON, Report
from gemini_workshop.data.preprocessing.splitting import SplitFractions, split_by_hash
from gemini_workshop.errors import DataError
from tests.data.preprocessing.similarity import jaccard

HALVES = SplitFractions(validation=0.25, test=0.25)
MIRROR = os.environ.get("GEMINI_WORKSHOP_MIRROR")


def run(documents, **recipe):
    report = Report()
    return list(preprocess(documents, Recipe(**recipe), report)), report


def story(number: int, num_words: int = 60) -> str:
    """Words at random: no two of these are alike."""
    rng = random.Random(number)
    return " ".join(f"w{rng.randrange(10**6)}" for _ in range(num_words))


def edited(text: str, places: range) -> str:
    words = text.split()
    for place in places:
        words[place] = f"other{place}"
    return " ".join(words)


def test_a_document_goes_out_clean_with_its_split_and_sum():
    (document,), report = run([f"  \n{story(1)}\x00 cafÃ©\u00a0at  \r\nWrite to jo@example.org or 202-555-0143.\n"])
    assert document.text.endswith(" café at\nWrite to <EMAIL> or <PHONE>.")
    assert document.split == split_by_hash(document.text, SplitFractions())
    assert len(document.sha256) == 64
    assert report.changed == {
        "mojibake repaired": 1,
        "invisible characters removed": 1,
        "white space made regular": 1,
        "e-mail addresses scrubbed": 1,
        "phone numbers scrubbed": 1,
    }


def test_private_data_stay_if_asked():
    (document,), _ = run([story(1) + " jo@example.org"], scrubs_private_data=False)
    assert document.text.endswith("jo@example.org")


def test_each_way_out_is_counted_under_its_name():
    first = story(1)
    documents = [first, first, first + "  \n", edited(first, range(2)), "short", "!?" * 100, story(2)]
    kept, report = run(documents)
    assert [document.text for document in kept] == [first, story(2)]
    assert report.dropped == {"exact duplicate": 2, "near-duplicate": 1, "too short": 1, "mostly symbols": 1}
    assert (report.num_read, report.num_kept, report.splits.total()) == (7, 2, 2)
    assert report.characters_read == sum(map(len, documents))
    assert report.characters_kept == len(first) + len(story(2))


def test_every_document_is_kept_or_dropped():
    _, report = run([story(i % 30, num_words=5 + i) for i in range(60)])
    assert report.num_kept + report.dropped.total() == report.num_read == 60


def test_examples_show_the_place_of_a_change_and_are_few_and_short():
    documents = ["x" * 5000 + f" jo{i}@example.org " + "y" * 5000 for i in range(9)]
    _, report = run(documents)
    examples = report.examples["e-mail addresses scrubbed"]
    assert len(examples) == EXAMPLES_PER_REASON
    assert all("@example.org" in example and len(example) <= EXAMPLE_CHARACTERS for example in examples)


def test_a_related_document_follows_the_split_of_the_first():
    for number in range(40):
        first = story(number)
        second = edited(first, range(5))  # similar, but no duplicate
        assert 0.5 < jaccard(shingles(first), shingles(second)) < 0.85
        kept, _ = run([first, second], fractions=HALVES, duplicate_similarity=0.95)
        assert kept[0].split == kept[1].split == split_by_hash(first, HALVES)


def side(words: list[str], first: int) -> str:
    return split_by_hash(" ".join(words[first : first + 100]), HALVES)


def test_a_document_between_two_splits_is_in_neither():
    words = next(words for i in range(40) if len({side(words := story(i, 135).split(), n) for n in (0, 35)}) == 2)
    left, bridge, right = (" ".join(words[first : first + 100]) for first in (0, 17, 35))
    kept, report = run([left, right, bridge], related_similarity=0.57, fractions=HALVES)
    assert [document.text for document in kept] == [left, right]
    assert report.dropped == {"between two splits": 1}


def crossing_pairs(documents, min_similarity: float) -> int:
    """Pairs on two sides of the split, as datasketch finds them and the exact similarity confirms them."""
    index, sets = MinHashLSH(threshold=min_similarity - 0.15, num_perm=64), []
    signatures = []
    for number, document in enumerate(documents):
        sets.append(shingles(document.text))
        signatures.append(TheirMinHash(num_perm=64, seed=7))
        signatures[-1].update_batch([shingle.encode() for shingle in sets[-1]])
        index.insert(number, signatures[-1])
    found = ((i, j) for i, signature in enumerate(signatures) for j in index.query(signature) if i < j)
    return sum(
        documents[i].split != documents[j].split and jaccard(sets[i], sets[j]) >= min_similarity for i, j in found
    )


@pytest.mark.parametrize(
    "name", ["stories", pytest.param("tinystories", marks=pytest.mark.skipif(not MIRROR, reason="no mirror"))]
)
def test_no_near_duplicate_pair_crosses_the_split(name):
    """Measured by datasketch; stories with edited copies, of which some are duplicates and some are only related."""
    stories = load_documents(name, "small" if name == "tinystories" else "all")[:250]
    rng = random.Random(0)
    copies = [edited(text, range(0, 40, 40 // rng.randint(1, 8))) for text in stories if len(text.split()) > 40]
    documents = [text for pair in itertools.zip_longest(stories, copies, fillvalue="") for text in pair]
    kept, report = run(documents, fractions=HALVES)
    assert report.dropped["near-duplicate"] > 10
    assert min(report.splits.values()) > 30
    assert crossing_pairs(kept, min_similarity=0.7) == 0
    by_hash_alone = [document._replace(split=split_by_hash(document.text, HALVES)) for document in kept]
    assert crossing_pairs(by_hash_alone, min_similarity=0.7) > 10


def test_the_same_documents_give_the_same_result():
    documents = [story(i % 20, num_words=20 + i) for i in range(50)]
    assert run(documents)[0] == run(documents)[0]


def test_documents_are_read_one_at_a_time():
    taken = []
    stream = preprocess((taken.append(i) or story(i) for i in itertools.count()), Recipe(), Report())
    assert taken == []
    for _ in range(3):
        next(stream)
    assert taken == [0, 1, 2]


def test_memory_holds_hashes_and_no_documents():
    """The documents have 20,000 characters each, and their shingles many times that."""
    stream = preprocess((story(i, num_words=2500) for i in range(18)), Recipe(), Report())
    held = []
    tracemalloc.start()
    for _ in stream:
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[17] - held[5] < 12 * 8_000


def test_a_recipe_for_which_duplicates_are_not_related_is_an_error():
    with pytest.raises(DataError, match=r"related_similarity=0\.9 and duplicate_similarity=0\.8"):
        Recipe(related_similarity=0.9)


def test_one_text_is_not_taken_for_a_list_of_letters():
    with pytest.raises(DataError, match="is one text"):
        next(preprocess("one text", Recipe(), Report()))


def test_the_report_is_a_table_and_plain_data():
    _, report = run([story(1), story(1), "short"], quality=QualityLimits(min_characters=10))
    lines = str(report).splitlines()
    assert lines[0].split() == ["read", "3", "100.0%"]
    assert ["dropped:", "exact", "duplicate", "1", "33.3%"] in [line.split() for line in lines]
    plain = report.to_dict()
    assert plain["dropped"] == {"exact duplicate": 1, "too short": 1}
    assert plain["examples"]["too short"] == ["short"]


def test_an_empty_report_can_be_shown():
    assert str(Report()).splitlines()[0].split() == ["read", "0", "0.0%"]
