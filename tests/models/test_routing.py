import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gemini_workshop.models.routing import (
    balanced_bias,
    expert_capacity,
    expert_load,
    expert_statistics,
    keep_best_groups,
    load_balancing_loss,
    route,
    router_z_loss,
    within_capacity,
)

N, E, A = 17, 12, 3


@pytest.fixture
def logits(generator):
    return torch.randn(N, E, generator=generator, dtype=torch.float64)


def balanced_experts(num_tokens: int, num_experts: int, experts_per_token: int) -> torch.Tensor:
    """Every expert is chosen equally often: token n takes the next ones in turn."""
    return (torch.arange(num_tokens * experts_per_token) % num_experts).view(num_tokens, experts_per_token)


def test_each_token_takes_its_best_experts_best_first(logits):
    experts = route(logits, A).experts
    for token, chosen in zip(logits.tolist(), experts.tolist(), strict=True):
        assert chosen == sorted(range(E), key=lambda e: -token[e])[:A]


def test_weights_are_the_probabilities_of_the_chosen(logits):
    routing = route(logits, A, renormalize=False)
    exponentials = logits.exp()
    expected = (exponentials / exponentials.sum(-1, keepdim=True)).gather(-1, routing.experts)
    torch.testing.assert_close(routing.weights, expected)


def test_softmax_and_then_choosing_and_dividing_is_softmax_of_the_chosen(logits):
    before, after = route(logits, A), route(logits, A, scoring="softmax_of_chosen")
    torch.testing.assert_close(before.weights, after.weights)
    torch.testing.assert_close(before.weights.sum(-1), torch.ones(N, dtype=torch.float64))


def test_sigmoid_scores_each_expert_by_itself(logits):
    routing = route(logits, A, scoring="sigmoid", renormalize=False)
    torch.testing.assert_close(routing.weights, 1 / (1 + (-logits.gather(-1, routing.experts)).exp()))
    renormalized = route(logits, A, scoring="sigmoid")
    torch.testing.assert_close(renormalized.weights, routing.weights / routing.weights.sum(-1, keepdim=True))


def test_the_selection_bias_changes_who_is_chosen_but_no_weight(logits):
    bias = torch.where(torch.arange(E) == 7, 2.0, 0.0).double()
    routing = route(logits, A, scoring="sigmoid", renormalize=False, selection_bias=bias)
    assert bool((routing.experts == 7).any(-1).all())
    torch.testing.assert_close(routing.weights, logits.sigmoid().gather(-1, routing.experts))


@pytest.mark.parametrize(("group_score", "kept"), [("max", [0, 1]), ("top2_sum", [2, 3])])
def test_groups_rank_by_their_best_or_by_their_best_two(group_score, kept):
    scores = torch.tensor([[9.0, 0.0, 6.0, 5.0, 1.0, 2.0]])
    result = keep_best_groups(scores, 3, 1, group_score)
    assert result.isfinite().nonzero()[:, 1].tolist() == kept
    assert result[0, kept].tolist() == scores[0, kept].tolist()


def test_a_token_chooses_only_among_its_best_groups(logits):
    routing = route(logits, 4, num_groups=4, kept_groups=2)
    best = logits.softmax(-1).view(N, 4, 3).amax(-1).topk(2, dim=-1).indices
    for token, groups in zip(routing.experts, best, strict=True):
        assert set((token // 3).tolist()) <= set(groups.tolist())
    assert not torch.equal(routing.experts, route(logits, 4).experts)


def test_probabilities_sum_to_one_whatever_the_scoring(logits):
    for scoring in ("softmax", "softmax_of_chosen", "sigmoid"):
        probabilities = route(logits, A, scoring=scoring).probabilities
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(N, dtype=torch.float64))


def test_scores_that_vanish_give_weights_of_zero_not_nan():
    routing = route(torch.full((2, 5), -200.0), 2, scoring="sigmoid")
    assert routing.weights.tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("tokens", "factor", "capacity"), [(12, 1.0, 3), (13, 1.0, 4), (12, 1.25, 4), (1, 1.0, 1), (12, 0.1, 1)]
)
def test_capacity_is_the_even_share_rounded_up(tokens, factor, capacity):
    assert expert_capacity(tokens, num_experts=8, experts_per_token=2, capacity_factor=factor) == capacity


def kept_by_queueing(experts: torch.Tensor, capacity: int) -> torch.Tensor:
    """The definition as a loop: all first choices in token order, then all second choices."""
    kept, taken = torch.zeros_like(experts, dtype=torch.bool), {}
    for a in range(experts.shape[1]):
        for n in range(experts.shape[0]):
            e = int(experts[n, a])
            kept[n, a] = taken.get(e, 0) < capacity
            taken[e] = taken.get(e, 0) + 1
    return kept


@pytest.mark.parametrize("capacity", [1, 2, 4, 17])
def test_first_choices_are_served_before_second_ones_and_then_in_token_order(logits, capacity):
    experts = route(logits, A).experts
    kept = within_capacity(experts, capacity)
    assert torch.equal(kept, kept_by_queueing(experts, capacity))
    assert bool(kept.all()) == (capacity == 17)


def test_load_is_the_share_of_all_choices():
    assert expert_load(torch.tensor([[0, 1], [0, 3]]), 4).tolist() == [0.5, 0.25, 0.0, 0.25]


@pytest.mark.parametrize("experts_per_token", [1, 2, 4])
def test_the_balance_loss_is_one_at_uniform_load(experts_per_token):
    probabilities = torch.full((24, 8), 1 / 8)
    loss = load_balancing_loss(probabilities, expert_load(balanced_experts(24, 8, experts_per_token), 8))
    assert loss.item() == pytest.approx(1.0)


def test_the_balance_loss_is_largest_when_all_tokens_choose_the_same_experts():
    probabilities = torch.zeros(24, 8).index_fill(1, torch.tensor([2, 5]), 0.5)
    load = expert_load(torch.tensor([[2, 5]]).expand(24, 2), 8)
    assert load_balancing_loss(probabilities, load).item() == pytest.approx(8 / 2)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), sharpness=st.floats(0.5, 5.0), experts_per_token=st.integers(1, 3))
def test_the_balance_loss_is_least_at_uniform_load(seed, sharpness, experts_per_token):
    """A router that follows its own probabilities, whichever they are, does not come below the loss at uniform load."""
    tilt = torch.randn(6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    logits = (sharpness * tilt).expand(10, 6)
    routing = route(logits, experts_per_token)
    assert load_balancing_loss(routing.probabilities, expert_load(routing.experts, 6)).item() > 1.0


def test_the_balance_loss_pushes_down_the_scores_of_a_busy_expert_and_lifts_the_others(logits):
    logits = (logits + torch.where(torch.arange(E) == 7, 5.0, 0.0)).requires_grad_()
    routing = route(logits, 1)
    (grad,) = torch.autograd.grad(load_balancing_loss(routing.probabilities, expert_load(routing.experts, E)), logits)
    assert (grad.sum(0) > 0).tolist() == [e == 7 for e in range(E)]


def test_the_z_loss_is_the_mean_square_of_the_log_of_the_sum_of_exponentials():
    logits = torch.tensor([[0.0, 0.0], [3.0, 3.0]])
    assert router_z_loss(logits).item() == pytest.approx((math.log(2) ** 2 + (3 + math.log(2)) ** 2) / 2)


def test_the_bias_of_a_busy_expert_falls_and_that_of_an_idle_one_rises():
    bias = balanced_bias(torch.tensor([0.5, 0.0, -0.5]), torch.tensor([0.5, 0.3, 0.2]), rate=0.1)
    torch.testing.assert_close(bias, torch.tensor([0.4, 0.1, -0.4]))


def test_following_the_load_by_the_bias_evens_it_out(generator):
    logits = torch.randn(200, 6, generator=generator) + torch.linspace(0, 3, 6)
    bias = torch.zeros(6)

    def routed():
        return route(logits, 2, scoring="sigmoid", selection_bias=bias)

    before = expert_statistics(routed())
    for _ in range(200):
        bias = balanced_bias(bias, expert_load(routed().experts, 6), rate=0.01)
    after = expert_statistics(routed())
    assert before.max_over_mean > 1.9
    assert after.max_over_mean < 1.2


def test_statistics_of_a_collapsed_router():
    collapsed = route(torch.tensor([[5.0, 1.0, 0.0, 0.0]]).expand(10, 4), 1)
    stats = expert_statistics(collapsed)
    assert stats.load.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert (stats.entropy_nats, stats.max_over_mean, stats.dead_experts, stats.dropped_fraction) == (0.0, 4.0, 3, 0.0)


def test_statistics_of_an_even_router():
    stats = expert_statistics(route(torch.eye(5), 1))
    assert stats.entropy_nats == pytest.approx(math.log(5))
    assert (stats.max_over_mean, stats.dead_experts) == (pytest.approx(1.0), 0)
