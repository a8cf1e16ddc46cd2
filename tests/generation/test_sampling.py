import math
from collections import Counter

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.generation.sampling import apply_temperature, greedy, sample, top_k_filter, top_p_filter

SHARES = torch.tensor([0.05, 0.4, 0.1, 0.3, 0.15])
LOGITS = SHARES.log()


def kept(logits):
    return torch.isfinite(logits).nonzero().flatten().tolist()


def frequencies(config, logits=LOGITS, draws=20_000):
    generator = torch.Generator().manual_seed(0)
    return Counter(sample(logits.expand(draws, -1), config, generator).tolist())


def test_greedy_takes_the_likeliest_of_each_row():
    assert greedy(torch.tensor([[0.0, 2.0, 1.0], [5.0, 2.0, 1.0]])).tolist() == [1, 0]


def test_of_equal_tokens_greedy_takes_the_lowest_id():
    assert greedy(torch.tensor([1.0, 3.0, 3.0, 3.0])).item() == 1


def test_temperature_divides_the_logarithm_of_the_odds():
    odds = apply_temperature(LOGITS, 2.0).softmax(-1)
    assert (odds[1] / odds[0]).item() == pytest.approx(math.sqrt(0.4 / 0.05))


def test_temperature_zero_leaves_only_the_greedy_token():
    assert kept(apply_temperature(torch.tensor([1.0, 3.0, 3.0]), 0.0)) == [1]


@pytest.mark.parametrize(("k", "expected"), [(1, [1]), (2, [1, 3]), (4, [1, 2, 3, 4]), (5, [0, 1, 2, 3, 4])])
def test_top_k_keeps_the_k_likeliest(k, expected):
    assert kept(top_k_filter(LOGITS, k)) == expected


def test_top_k_beyond_the_vocabulary_keeps_everything():
    torch.testing.assert_close(top_k_filter(LOGITS, 99), LOGITS)


def test_top_k_keeps_exactly_k_of_equal_tokens_those_with_the_lowest_ids():
    assert kept(top_k_filter(torch.tensor([1.0, 2.0, 2.0, 2.0, 2.0]), 2)) == [1, 2]


def test_top_k_leaves_what_it_keeps_as_it_was():
    torch.testing.assert_close(top_k_filter(LOGITS, 2)[[1, 3]], LOGITS[[1, 3]])


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.01, [1]), (0.39, [1]), (0.41, [1, 3]), (0.69, [1, 3]), (0.71, [1, 3, 4]), (0.9, [1, 2, 3, 4])],
)
def test_top_p_keeps_the_token_that_crosses_p_and_none_after_it(p, expected):
    assert kept(top_p_filter(LOGITS, p)) == expected


def test_top_p_stops_at_a_token_that_reaches_p_exactly():
    assert kept(top_p_filter(torch.tensor([0.25, 0.5, 0.25]).log2().mul(math.log(2)), 0.5)) == [1]


def test_of_equal_tokens_top_p_keeps_those_with_the_lowest_ids():
    assert kept(top_p_filter(torch.zeros(4), 0.5)) == [0, 1]


def test_top_p_one_keeps_everything_however_unlikely():
    assert kept(top_p_filter(torch.tensor([50.0, -50.0]), 1.0)) == [0, 1]


def test_the_filters_treat_each_row_by_itself():
    rows = torch.stack([LOGITS, LOGITS.flip(0)])
    assert [kept(row) for row in top_k_filter(rows, 2)] == [[1, 3], [1, 3]]
    assert [kept(row) for row in top_p_filter(rows, 0.6)] == [[1, 3], [1, 3]]
    assert [kept(row) for row in apply_temperature(rows, 0.0)] == [[1], [3]]


def test_frequencies_match_the_probabilities_within_five_sigma():
    counts = frequencies(GenerationConfig(temperature=1.0, top_p=None))
    for token, share in enumerate(SHARES.tolist()):
        sigma = math.sqrt(20_000 * share * (1 - share))
        assert abs(counts[token] - 20_000 * share) < 5 * sigma


def test_frequencies_match_the_probabilities_that_the_filters_leave():
    counts = frequencies(GenerationConfig(temperature=1.0, top_k=3, top_p=0.8))
    assert set(counts) == {1, 3}  # 0.4 and 0.3 of the 0.85 that top-k leaves reach 0.8
    assert abs(counts[1] - 20_000 * 4 / 7) < 5 * math.sqrt(20_000 * 4 / 7 * 3 / 7)


def test_a_token_of_probability_zero_is_never_drawn():
    logits = LOGITS.clone()
    logits[[1, 3]] = float("-inf")
    assert set(frequencies(GenerationConfig(temperature=5.0, top_p=None), logits)) == {0, 2, 4}


def test_top_k_one_and_temperature_zero_are_greedy():
    rows = torch.randn(9, 13, generator=torch.Generator().manual_seed(4))
    for config in (GenerationConfig(temperature=0.0), GenerationConfig(temperature=3.0, top_k=1)):
        assert sample(rows, config).tolist() == greedy(rows).tolist()


def test_the_same_seed_draws_the_same():
    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return sample(LOGITS.expand(50, -1), GenerationConfig(), generator).tolist()

    assert draw(1) == draw(1) != draw(2)
