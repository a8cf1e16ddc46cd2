import math

import pytest
import torch
from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper
from transformers.generation.logits_process import TypicalLogitsWarper

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.sampling import (
    apply_temperature,
    greedy,
    min_p_filter,
    sample,
    top_k_filter,
    top_p_filter,
    typical_filter,
)
from tests.generation.chi_square import DRAWS, fits

SHARES = torch.tensor([0.05, 0.4, 0.1, 0.3, 0.15])
LOGITS = SHARES.log()


def kept(logits):
    return torch.isfinite(logits).nonzero().flatten().tolist()


FILTERS = {
    "temperature": lambda logits: apply_temperature(logits, 0.7),
    "temperature 0": lambda logits: apply_temperature(logits, 0.0),
    "top-k": lambda logits: top_k_filter(logits, 3),
    "top-p": lambda logits: top_p_filter(logits, 0.8),
    "min-p": lambda logits: min_p_filter(logits, 0.2),
    "typical": lambda logits: typical_filter(logits, 0.6),
}
NOTHING = torch.full((5,), float("-inf"))


@pytest.fixture
def rows():
    """Scores as a model has them, some tokens excluded."""
    rows = 3 * torch.randn(50, 23, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows[::2, 4:9] = float("-inf")
    return rows


def test_greedy_takes_the_most_likely_of_each_row():
    assert greedy(torch.tensor([[0.0, 2.0, 1.0], [5.0, 2.0, 1.0]])).tolist() == [1, 0]


def test_of_equal_tokens_greedy_takes_the_lowest_id():
    assert greedy(torch.tensor([1.0, 3.0, 3.0, 3.0])).item() == 1


def test_temperature_divides_the_logarithm_of_the_odds():
    odds = apply_temperature(LOGITS, 2.0).softmax(-1)
    assert (odds[1] / odds[0]).item() == pytest.approx(math.sqrt(0.4 / 0.05))


def test_temperature_zero_leaves_only_the_greedy_token():
    assert kept(apply_temperature(torch.tensor([1.0, 3.0, 3.0]), 0.0)) == [1]


@pytest.mark.parametrize(("k", "expected"), [(1, [1]), (2, [1, 3]), (4, [1, 2, 3, 4]), (5, [0, 1, 2, 3, 4])])
def test_top_k_keeps_the_k_most_likely(k, expected):
    assert kept(top_k_filter(LOGITS, k)) == expected


def test_top_k_beyond_the_vocabulary_keeps_everything():
    torch.testing.assert_close(top_k_filter(LOGITS, 99), LOGITS)


def test_top_k_keeps_exactly_k_of_equal_tokens_those_with_the_lowest_ids():
    assert kept(top_k_filter(torch.tensor([1.0, 2.0, 2.0, 2.0, 2.0]), 2)) == [1, 2]


def test_ties_are_settled_in_a_large_vocabulary_too():
    """Sorting algorithms differ only on long rows."""
    logits = torch.randint(0, 5, (3, 3000), generator=torch.Generator().manual_seed(0)).double()
    in_order = [sorted(range(3000), key=lambda i, row=row: (-row[i], i)) for row in logits.tolist()]
    assert [kept(row) for row in top_k_filter(logits, 700)] == [sorted(order[:700]) for order in in_order]
    for p in (0.3, 0.9):
        rows = [kept(row) for row in top_p_filter(logits, p)]
        assert rows == [sorted(order[: len(row)]) for order, row in zip(in_order, rows, strict=True)]
    assert greedy(logits).tolist() == [order[0] for order in in_order]


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


@pytest.mark.parametrize(("min_p", "expected"), [(0.0, [0, 1, 2, 3, 4]), (0.3, [1, 3, 4]), (0.7, [1, 3]), (1.0, [1])])
def test_min_p_keeps_what_is_likely_enough_beside_the_most_likely(min_p, expected):
    assert kept(min_p_filter(LOGITS, min_p)) == expected


def test_min_p_one_keeps_all_of_the_most_likely():
    assert kept(min_p_filter(torch.tensor([1.0, 3.0, 3.0, 2.9]), 1.0)) == [1, 2]


@pytest.mark.parametrize(("p", "expected"), [(0.1, [3]), (0.31, [1, 3]), (0.71, [1, 3, 4]), (0.86, [1, 2, 3, 4])])
def test_typical_keeps_first_what_surprises_as_expected(p, expected):
    """Entropy 1.39 nats; the tokens surprise by 3.00, 0.92, 2.30, 1.20 and 1.90."""
    assert kept(typical_filter(LOGITS, p)) == expected


def test_of_equally_typical_tokens_those_with_the_lowest_ids_are_kept():
    assert kept(typical_filter(torch.zeros(4), 0.5)) == [0, 1]


def test_the_filters_treat_each_row_by_itself():
    rows = torch.stack([LOGITS, LOGITS.flip(0)])
    assert [kept(row) for row in top_k_filter(rows, 2)] == [[1, 3], [1, 3]]
    assert [kept(row) for row in top_p_filter(rows, 0.6)] == [[1, 3], [1, 3]]
    assert [kept(row) for row in min_p_filter(rows, 0.7)] == [[1, 3], [1, 3]]
    assert [kept(row) for row in typical_filter(rows, 0.1)] == [[3], [1]]
    assert [kept(row) for row in apply_temperature(rows, 0.0)] == [[1], [3]]


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_leaves_a_row_without_tokens_as_it_is(name):
    assert FILTERS[name](NOTHING).tolist() == NOTHING.tolist()


@pytest.mark.parametrize("name", FILTERS)
def test_what_was_excluded_before_stays_excluded_and_the_rest_as_without_it(name, rows):
    """Tokens of probability zero take no part in shares, entropies or ranks."""
    possible = [i for i in range(23) if not 4 <= i < 9]
    filtered = FILTERS[name](rows[::2])
    assert (filtered[:, 4:9] == float("-inf")).all()
    torch.testing.assert_close(filtered[:, possible], FILTERS[name](rows[::2][:, possible]))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        *((lambda x, t=t: apply_temperature(x, t), TemperatureLogitsWarper(t)) for t in (0.3, 1.0, 1.7)),
        *((lambda x, k=k: top_k_filter(x, k), TopKLogitsWarper(k)) for k in (1, 4, 20, 99)),
        *((lambda x, p=p: top_p_filter(x, p), TopPLogitsWarper(p)) for p in (0.01, 0.5, 0.9, 0.999, 1.0)),
        *((lambda x, p=p: min_p_filter(x, p), MinPLogitsWarper(p)) for p in (0.0, 0.05, 0.4, 1.0)),
        *((lambda x, p=p: typical_filter(x, p), TypicalLogitsWarper(p)) for p in (0.05, 0.4, 0.9, 0.99)),
    ],
)
def test_the_next_token_is_distributed_as_by_transformers(ours, theirs, rows):
    expected = theirs(torch.zeros(50, 1, dtype=torch.long), rows).softmax(-1)
    torch.testing.assert_close(ours(rows).softmax(-1), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", FILTERS)
def test_draws_are_distributed_as_the_filter_leaves_the_odds(name):
    logits = FILTERS[name](torch.cat([LOGITS, LOGITS - 3]))
    draws = sample(logits.expand(DRAWS, -1), torch.Generator().manual_seed(0))
    assert fits(draws, logits.softmax(-1))


def test_the_test_of_draws_sees_a_wrong_distribution():
    draws = sample(LOGITS.expand(DRAWS, -1), torch.Generator().manual_seed(0))
    assert fits(draws, SHARES)
    assert not fits(draws, apply_temperature(LOGITS, 0.9).softmax(-1))
    assert not fits(draws, top_k_filter(LOGITS, 4).softmax(-1))


def test_a_token_of_probability_zero_is_never_drawn():
    logits = LOGITS.clone()
    logits[[1, 3]] = float("-inf")
    assert set(sample(logits.expand(DRAWS, -1)).tolist()) == {0, 2, 4}


def test_the_same_seed_draws_the_same():
    def draw(seed):
        return sample(LOGITS.expand(50, -1), torch.Generator().manual_seed(seed)).tolist()

    assert draw(1) == draw(1) != draw(2)


def test_a_row_with_its_own_generator_draws_the_same_in_any_company():
    def generators(*seeds):
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    together = generators(1, 2, 3)
    alone = generators(2)
    for _ in range(20):
        assert sample(LOGITS.expand(3, -1), together)[1] == sample(LOGITS.expand(1, -1), alone)[0]


def test_a_row_with_nothing_to_draw_is_refused_by_its_number():
    with pytest.raises(WorkshopError, match="Every token of row 1 is cut off: none is left to sample"):
        sample(torch.stack([LOGITS, NOTHING]))


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_scores_that_are_no_numbers_are_refused(number):
    with pytest.raises(WorkshopError, match=f"largest logit of row 0 is {number}, not a finite number"):
        sample(torch.tensor([[1.0, float(number), 2.0]]))
