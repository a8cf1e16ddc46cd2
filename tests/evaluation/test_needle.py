"""Needles: an oracle finds all, the blind find what chance gives, the short-sighted what they see."""

import random

import pytest
import torch

from gemini_workshop.data.tokenizers import CharTokenizer
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation import needle
from gemini_workshop.evaluation.needle import WORDS, Haystack, blind, most_likely, needle_grid, oracle
from gemini_workshop.models.transformer import Transformer
from tests import tiny

BOOK = " ".join(f"Sentence {i} of the book {'goes on ' * (i % 4)}here." for i in range(300))
MODEL = Transformer(tiny.MODEL)  # never asked
TOKENIZER = CharTokenizer.train([BOOK, needle.BEGINNING, *needle.NAMES, *WORDS], 100)
LENGTHS, DEPTHS = (150, 400, 2000), (0.0, 0.5, 1.0)


@pytest.fixture(scope="module")
def haystack():
    return Haystack(BOOK, TOKENIZER)


def test_an_oracle_finds_every_needle(haystack):
    result = needle_grid(oracle, haystack, LENGTHS, DEPTHS, trials=10)
    assert result.found == ((1.0,) * 3,) * 3
    assert result.mean == 1.0


def test_the_blind_find_what_chance_gives(haystack):
    """900 guesses: five standard deviations are 5 in 100."""
    result = needle_grid(blind(), haystack, LENGTHS, DEPTHS, trials=100)
    assert result.chance == 0.1
    assert result.mean == pytest.approx(0.1, abs=0.05)


def test_the_short_sighted_find_what_stands_near_the_end(haystack):
    result = needle_grid(lambda text, words: oracle(text[-350:], words), haystack, (300, 2000), DEPTHS, trials=20)
    assert [shares[0] for shares in result.found] == [1.0, 1.0, 1.0]
    assert result.found[0][1] < 0.4
    assert result.found[1][1] < 0.4
    assert result.found[2][1] == 1.0


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("depth", [0.0, 0.25, 1.0])
def test_a_text_is_nearly_as_long_as_asked_and_never_longer_and_the_needle_stands_at_its_depth(haystack, length, depth):
    longest = max(haystack.tokens)
    for seed in range(10):
        case = haystack.case(length, depth, random.Random(seed))
        assert length - 2 * longest <= len(TOKENIZER.encode(case.text)) <= length
        place = case.text.index("hid the red key") / len(case.text)
        assert place == pytest.approx(depth, abs=(longest + 80) / length)
        assert f"under the {WORDS[case.answer]}." in case.text
        assert case.text.endswith("hid the red key under the")


def test_the_needle_parts_no_sentence_and_the_book_is_read_in_order(haystack):
    case = haystack.case(2000, 0.5, random.Random(3))
    sentences = [part for part in case.text.replace(". ", ".\n").splitlines() if "red key" not in part]
    assert all(sentence in haystack.sentences for sentence in sentences)
    numbers = [int(sentence.split()[1]) for sentence in sentences]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_texts_come_from_all_over_the_book_and_a_seed_draws_the_same(haystack):
    starts = {haystack.case(400, 1.0, random.Random(seed)).text[:14] for seed in range(30)}
    assert len(starts) > 15
    assert haystack.case(400, 0.5, random.Random(7)) == haystack.case(400, 0.5, random.Random(7))


def test_the_end_of_the_book_is_long_enough_for_any_start(haystack):
    whole = sum(haystack.tokens)
    for seed in range(20):
        case = haystack.case(whole // 2, 0.5, random.Random(seed))
        assert len(TOKENIZER.encode(case.text)) > whole // 2 - 2 * max(haystack.tokens)


def test_no_room_and_no_book_are_refused(haystack):
    with pytest.raises(DataError, match=r"room for -\d+ tokens.*greater length\."):
        haystack.case(20, 0.5, random.Random(0))
    with pytest.raises(DataError, match=r"which has \d+\. Choose a smaller length, or a longer book"):
        haystack.case(10**6, 0.5, random.Random(0))
    with pytest.raises(DataError, match="0 sentences"):
        Haystack(" \n", TOKENIZER)


def test_a_model_picks_the_word_that_the_text_makes_likelier(haystack, monkeypatch):
    """A stand-in that finds "bed" the likeliest everywhere, and words that it has read more likely than before."""

    def log_probs(model, context, continuations):
        read = TOKENIZER.decode(context[1:])
        words = [TOKENIZER.decode(ids).strip(" .") for ids in continuations]
        return [torch.tensor([5.0 * (word == "bed") + 1.0 * (f"the {word}." in read)]) for word in words]

    monkeypatch.setattr(needle, "continuation_log_probs", log_probs)
    result = needle_grid(most_likely(MODEL, TOKENIZER), haystack, (400,), DEPTHS, trials=5)
    assert result.mean == 1.0
