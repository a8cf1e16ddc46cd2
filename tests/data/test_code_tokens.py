import os

import pytest

from gemini_workshop.data.code_corpus import code_modules
from gemini_workshop.data.code_tokens import SPLITS, compare_splits, split_blanks
from gemini_workshop.data.corpora import load_vocabulary
from gemini_workshop.data.corpora.python_library import standard_library
from gemini_workshop.data.preprocessing.report import Report
from gemini_workshop.errors import DataError

MIRROR = os.environ.get("GEMINI_WORKSHOP_MIRROR")


@pytest.fixture(scope="module")
def sources() -> list[str]:
    return [module.source for module, _ in zip(code_modules(standard_library(), Report()), range(16), strict=False)]


@pytest.mark.parametrize("name", SPLITS)
def test_no_way_to_split_loses_anything(name, sources):
    text = sources[0] + "\tif x:\n\n        go( )  \n  "
    assert "".join(SPLITS[name](text)) == text


def test_blanks_are_words_of_their_own_when_blind():
    assert [word for word in split_blanks("a\n\t  b  c") if word.isspace()] == ["\n", "\t", " ", " ", " ", " "]


def test_one_line_is_counted_by_hand():
    """No merge joins anything on the other side: two blanks, "ab" merged, and the line end."""
    cost = compare_splits(["ab ab ab"], ["  ab\n\n"], num_merges=1, splits=["blind"])["blind"]
    assert cost.tokens_per_line == 2 + 1 + 2
    assert cost.blank_fraction == pytest.approx(4 / 5)


def test_joining_blanks_saves_a_quarter_of_the_tokens_of_code(sources):
    costs = compare_splits(sources[::2], sources[1::2], num_merges=300)
    for name in ("gpt2", "cl100k"):
        assert costs[name].tokens_per_line < 0.75 * costs["blind"].tokens_per_line
        assert costs[name].blank_fraction < 0.5 * costs["blind"].blank_fraction


@pytest.mark.skipif(not MIRROR, reason="GEMINI_WORKSHOP_MIRROR is not set")
def test_the_published_gpt2_spends_a_token_on_nearly_every_blank_and_gpt4_does_not(sources):
    code = "\n".join(sources)[:50_000]
    blank_heavy = "        "
    gpt2, gpt4 = load_vocabulary("gpt2"), load_vocabulary("cl100k_base")
    assert len(gpt2.encode("\n" + blank_heavy + "return x")) >= len(blank_heavy)
    assert len(gpt4.encode("\n" + blank_heavy + "return x")) <= 4
    assert len(gpt4.encode(code)) < 0.6 * len(gpt2.encode(code))


def test_nothing_to_measure_on_is_an_error():
    with pytest.raises(DataError, match="held_out holds no line of code"):
        compare_splits(["x = 1"], ["\n \n"], num_merges=1)
