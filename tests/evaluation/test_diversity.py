"""Variety and overlap of texts."""

import pytest

from gemini_workshop.errors import DataError
from gemini_workshop.evaluation import diversity
from gemini_workshop.evaluation.diversity import bleu, distinct_n, self_bleu

FOX = "the quick brown fox jumps over the lazy dog"
CAT = "a slow green cat sleeps under some busy birds"


def test_distinct_n_by_hand():
    assert distinct_n(["a b a", "a c"], 1) == 3 / 5
    assert distinct_n(["a b a", "a c"], 2) == 1.0  # a b, b a, a c
    assert distinct_n(["x x x x"], 2) == 1 / 3


def test_sequences_do_not_run_from_one_text_into_the_next():
    assert distinct_n(["a", "b c"], 2) == 1.0


def test_distinct_n_needs_long_enough_texts():
    with pytest.raises(DataError, match="None of 2 texts has n=3 words"):
        distinct_n(["a b", ""], 3)


def test_equal_texts_have_all_in_common_and_different_ones_next_to_nothing():
    pytest.importorskip("sacrebleu")
    assert self_bleu([FOX, FOX, FOX]) == pytest.approx(100.0)
    assert self_bleu([FOX, CAT]) < 5
    assert self_bleu([FOX, FOX, CAT]) == pytest.approx((200 + self_bleu_of_last()) / 3)


def self_bleu_of_last():
    import sacrebleu

    return sacrebleu.sentence_bleu(CAT, [FOX, FOX]).score


def test_one_text_has_no_others():
    with pytest.raises(DataError, match="1 text has no others"):
        self_bleu([FOX])


def test_bleu_is_full_for_the_reference_itself():
    pytest.importorskip("sacrebleu")
    assert bleu([FOX, CAT], [FOX, CAT]) == pytest.approx(100.0)
    assert bleu([FOX, CAT], [CAT, FOX]) < 5


def test_texts_without_their_references_are_refused():
    with pytest.raises(DataError, match="1 texts and 2 references make no pairs"):
        bleu([FOX], [FOX, CAT])


def test_a_missing_library_is_named_with_its_cure(monkeypatch):
    monkeypatch.setattr(diversity.importlib, "import_module", lambda name: exec("raise ModuleNotFoundError(name)"))
    with pytest.raises(DataError, match=r'sacrebleu is not installed.*pip install -e "\.\[metrics\]"'):
        bleu([FOX], [FOX])
