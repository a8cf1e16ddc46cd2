import math

import pytest
import torch

from gemini_workshop.data.batches.stream import TokenArray
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.floors import (
    bigram_entropy,
    bits_per_byte,
    entropy_floors,
    uniform_entropy,
    unigram_entropy,
)


def test_a_uniform_model_pays_the_logarithm_of_the_vocabulary():
    assert uniform_entropy(256) == pytest.approx(8 * math.log(2))


def test_unigram_entropy_of_halves_and_quarters():
    """1/2, 1/4, 1/4: one and a half bits."""
    assert unigram_entropy(torch.tensor([3, 3, 8, 5])) == pytest.approx(1.5 * math.log(2))


def test_bigram_entropy_of_a_fair_choice_after_one_token():
    """Pairs 0-1, 1-0, 0-2, 2-0, 0-1: after 0 (3 of 5 pairs) 1 twice and 2 once; after 1 and 2 always 0."""
    after_zero = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert bigram_entropy(torch.tensor([0, 1, 0, 2, 0, 1])) == pytest.approx(3 / 5 * after_zero)


def test_a_text_in_which_each_token_decides_the_next_has_no_bigram_entropy():
    assert bigram_entropy(torch.tensor([4, 9, 2, 4, 9, 2, 4])) == pytest.approx(0.0, abs=1e-12)


def test_a_bigram_table_fitted_to_the_text_pays_exactly_the_bigram_entropy():
    ids = torch.randint(0, 5, (400,), generator=torch.Generator().manual_seed(0))
    table = torch.zeros(5, 5, dtype=torch.float64)
    for previous, following in zip(ids[:-1].tolist(), ids[1:].tolist(), strict=True):
        table[previous, following] += 1
    shares = table / table.sum(dim=1, keepdim=True)
    loss = -shares[ids[:-1], ids[1:]].log().mean().item()
    assert bigram_entropy(ids) == pytest.approx(loss)


def test_no_other_bigram_table_does_better_on_the_text():
    ids = torch.randint(0, 5, (400,), generator=torch.Generator().manual_seed(0))
    for seed in range(20):
        logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 0.1
        loss = -logits.log_softmax(-1)[ids[:-1], ids[1:]].mean().item()
        assert loss > bigram_entropy(ids)


def test_int32_ids_of_a_large_vocabulary_do_not_overflow():
    """In 32 bits 0 * 2**17 and 2**15 * 2**17 are the same, and the two pairs before 5 would be one."""
    ids = torch.tensor([0, 5, 2**15, 5, 2**17 - 1, 0, 5], dtype=torch.int32)
    assert bigram_entropy(ids) == pytest.approx(bigram_entropy(torch.tensor([0, 1, 2, 1, 3, 0, 1])))


def test_more_context_never_raises_a_floor():
    ids = torch.randint(0, 11, (1000,), generator=torch.Generator().manual_seed(1))
    floors = entropy_floors(TokenArray(ids, 13))
    assert list(floors) == ["uniform", "unigram", "bigram"]
    assert floors["uniform"] > floors["unigram"] > floors["bigram"]


@pytest.mark.parametrize("chunk_tokens", [1, 7, 999, 1000, 5000])
def test_the_floors_of_a_text_do_not_depend_on_how_it_is_read(chunk_tokens):
    ids = torch.randint(0, 11, (1000,), generator=torch.Generator().manual_seed(1))
    floors = entropy_floors(TokenArray(ids, 13), chunk_tokens)
    assert floors["unigram"] == pytest.approx(unigram_entropy(ids), rel=1e-12)
    assert floors["bigram"] == pytest.approx(bigram_entropy(ids), rel=1e-12)


def test_bits_per_byte_counts_bits_and_bytes():
    assert bits_per_byte(3 * math.log(2), num_tokens=7, num_bytes=42) == pytest.approx(0.5)


def test_an_empty_text_has_no_entropy():
    with pytest.raises(DataError, match=r"0 tokens.*at least 1"):
        unigram_entropy(torch.tensor([], dtype=torch.int32))
    with pytest.raises(DataError, match=r"1 tokens.*at least 2"):
        bigram_entropy(torch.tensor([5]))
    with pytest.raises(DataError, match=r"1 tokens.*at least 2"):
        entropy_floors(TokenArray(torch.tensor([5]), 13))
