import pytest
import torch
from transformers import NoRepeatNGramLogitsProcessor, RepetitionPenaltyLogitsProcessor, SequenceBiasLogitsProcessor

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.penalties import (
    ABSENT,
    apply_bias,
    apply_frequency_penalty,
    apply_presence_penalty,
    apply_repetition_penalty,
    forbid_repeated_ngrams,
    token_counts,
)

LOGITS = torch.tensor([[2.0, -1.0, 0.5, 0.0, -3.0]])
TEXT = torch.tensor([[0, 1, 0, 4, 0]])
B, T, V = 40, 17, 7


@pytest.fixture
def rows():
    return 2 * torch.randn(B, V, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def texts():
    """Few kinds of tokens, so that much is repeated."""
    return torch.randint(0, V, (B, T), generator=torch.Generator().manual_seed(1))


def test_counts_are_those_of_each_row(texts):
    assert token_counts(texts, V).tolist() == [[row.count(token) for token in range(V)] for row in texts.tolist()]


def test_repetition_lowers_scores_of_either_sign():
    assert apply_repetition_penalty(LOGITS, TEXT, 2.0).tolist() == [[1.0, -2.0, 0.5, 0.0, -6.0]]


def test_presence_counts_a_token_once():
    assert apply_presence_penalty(LOGITS, TEXT, 0.5).tolist() == [[1.5, -1.5, 0.5, 0.0, -3.5]]


def test_frequency_counts_a_token_each_time():
    assert apply_frequency_penalty(LOGITS, TEXT, 0.5).tolist() == [[0.5, -1.5, 0.5, 0.0, -3.5]]


def test_a_bias_adds_to_the_tokens_it_names_and_can_forbid_one():
    assert apply_bias(LOGITS, {3: 1.5, 0: float("-inf")}).tolist() == [[float("-inf"), -1.0, 0.5, 1.5, -3.0]]


@pytest.mark.parametrize("token", [-1, 5])
def test_a_bias_on_a_token_that_does_not_exist_is_refused(token):
    with pytest.raises(WorkshopError, match=f"token id {token} at position 0 is outside the vocabulary of 5"):
        apply_bias(LOGITS, {token: 1.0})


def naive_forbidden(text: list[int], n: int) -> set[int]:
    latest = text[len(text) - n + 1 :]
    return {text[i + n - 1] for i in range(len(text) - n + 1) if text[i : i + n - 1] == latest}


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_an_ngram_cannot_come_twice(rows, texts, n):
    forbidden = [
        set((row == float("-inf")).nonzero().flatten().tolist()) for row in forbid_repeated_ngrams(rows, texts, n)
    ]
    assert forbidden == [naive_forbidden(text, n) for text in texts.tolist()]
    assert any(forbidden)


def test_a_text_shorter_than_an_ngram_forbids_nothing(rows, texts):
    assert forbid_repeated_ngrams(rows, texts[:, :3], 4) is rows


@pytest.mark.parametrize(
    "apply",
    [
        lambda logits, text: apply_repetition_penalty(logits, text, 1.3),
        lambda logits, text: apply_presence_penalty(logits, text, 0.7),
        lambda logits, text: apply_frequency_penalty(logits, text, 0.7),
        *(lambda logits, text, n=n: forbid_repeated_ngrams(logits, text, n) for n in (1, 2, 3)),
    ],
)
@pytest.mark.parametrize("num_absent", [1, 3, 16])
def test_what_is_absent_counts_for_nothing(rows, texts, apply, num_absent):
    padded = texts.clone()
    padded[:, :num_absent] = ABSENT
    torch.testing.assert_close(apply(rows, padded), apply(rows, texts[:, num_absent:]))


@pytest.mark.parametrize("penalty", [0.5, 1.0, 1.2, 3.0])
def test_repetition_is_punished_as_by_transformers(rows, texts, penalty):
    expected = RepetitionPenaltyLogitsProcessor(penalty)(texts, rows)
    torch.testing.assert_close(apply_repetition_penalty(rows, texts, penalty), expected, rtol=0, atol=0)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_ngrams_are_forbidden_as_by_transformers(rows, texts, n):
    expected = NoRepeatNGramLogitsProcessor(n)(texts, rows)
    torch.testing.assert_close(forbid_repeated_ngrams(rows, texts, n), expected, rtol=0, atol=0)


def test_a_bias_is_added_as_by_transformers(rows, texts):
    expected = SequenceBiasLogitsProcessor({(2,): -1.5, (5,): 4.0})(texts, rows.float())
    torch.testing.assert_close(apply_bias(rows.float(), {2: -1.5, 5: 4.0}), expected, rtol=0, atol=0)
