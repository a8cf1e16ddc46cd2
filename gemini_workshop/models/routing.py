"""Which experts see a token: the router's choice, the losses that keep the load even, and statistics of the result.

    weights of token = scores of its best experts / their sum

Source: Shazeer et al. 2017, arXiv:1701.06538, section 2 (experts chosen by their scores); Fedus et al. 2021,
arXiv:2101.03961, section 2.2 (capacity, load-balancing loss); DeepSeek-V3, arXiv:2412.19437, section 2.1.2 (groups,
sigmoid, selection bias).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Scoring = Literal["softmax", "softmax_of_chosen", "sigmoid"]
GroupScore = Literal["max", "top2_sum"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Routing:
    """Where one layer sends its tokens.

    Args:
        logits: the router's score of each expert.
        probabilities: the scores of all experts as numbers that sum to 1; the balance loss acts on them.
        experts: the chosen ones, the best first.
        weights: what each chosen expert's output is multiplied by.
        kept: False where the expert was full and the token is not sent.
    """

    logits: Float[Tensor, "N E"]
    probabilities: Float[Tensor, "N E"]
    experts: Int[Tensor, "N A"]
    weights: Float[Tensor, "N A"]
    kept: Bool[Tensor, "N A"]


def route(
    logits: Float[Tensor, "N E"],
    experts_per_token: int,
    *,
    scoring: Scoring = "softmax",
    renormalize: bool = True,
    selection_bias: Float[Tensor, " E"] | None = None,
    num_groups: int = 1,
    kept_groups: int = 1,
    group_score: GroupScore = "max",
) -> Routing:
    """Send each token to the experts that score best, weighted by their scores.

    Args:
        scoring: ``softmax`` over all experts, ``softmax_of_chosen``, or ``sigmoid`` of each by itself.
        renormalize: divide a token's weights by their sum.
        selection_bias: added to the scores to choose, not to weight.
        kept_groups: the experts are divided into ``num_groups`` groups; a token chooses among its best groups only.

    Example:
        >>> routing = route(torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log(), 2)
        >>> routing.experts, routing.weights
        (tensor([[1, 3]]), tensor([[0.5714, 0.4286]]))
    """
    scores = logits.sigmoid() if scoring == "sigmoid" else logits.softmax(dim=-1)
    ranks = scores if selection_bias is None else scores + selection_bias
    if kept_groups < num_groups:
        ranks = keep_best_groups(ranks, num_groups, kept_groups, group_score)
    experts = ranks.topk(experts_per_token, dim=-1).indices
    if scoring == "softmax_of_chosen":
        weights = logits.gather(-1, experts).softmax(dim=-1)
    else:
        weights = scores.gather(-1, experts)
        weights = normalized(weights) if renormalize else weights
    return Routing(
        logits=logits,
        probabilities=normalized(scores) if scoring == "sigmoid" else scores,
        experts=experts,
        weights=weights,
        kept=torch.ones_like(experts, dtype=torch.bool),
    )


def normalized(scores: Float[Tensor, "N X"]) -> Float[Tensor, "N X"]:
    """Scores that are not negative, divided by their sum; all zero stays zero."""
    return scores / (scores.sum(dim=-1, keepdim=True) + 1e-20)


def keep_best_groups(
    scores: Float[Tensor, "N E"], num_groups: int, kept_groups: int, group_score: GroupScore
) -> Float[Tensor, "N E"]:
    """Exclude, by a score of -inf, all experts outside each token's best groups.

    A group is a run of neighbours. It ranks by its best expert (``max``) or by the sum of its best two (``top2_sum``).

    Example:
        >>> keep_best_groups(torch.tensor([[5.0, 1.0, 4.0, 3.0]]), 2, 1, "top2_sum")
        tensor([[-inf, -inf, 4., 3.]])
    """
    groups = scores.unflatten(-1, (num_groups, -1))
    best = groups.topk(1 if group_score == "max" else min(2, groups.shape[-1]), dim=-1).values.sum(dim=-1)
    is_kept = torch.zeros_like(best, dtype=torch.bool).scatter(-1, best.topk(kept_groups, dim=-1).indices, True)
    return groups.masked_fill(~is_kept.unsqueeze(-1), -math.inf).flatten(-2)


def expert_capacity(num_tokens: int, num_experts: int, experts_per_token: int, capacity_factor: float) -> int:
    """The largest number of tokens that one expert takes: an even split times the factor, rounded up.

    Source: Fedus et al. 2021, arXiv:2101.03961, equation 3.
    Differs: each token counts once for each expert that it is sent to.

    Example:
        >>> expert_capacity(num_tokens=10, num_experts=8, experts_per_token=2, capacity_factor=1.0)
        3
    """
    return math.ceil(num_tokens * experts_per_token * capacity_factor / num_experts)


def within_capacity(experts: Int[Tensor, "N A"], capacity: int) -> Bool[Tensor, "N A"]:
    """Which choices still find room: every token's first choice is served before any second choice, in token order.

    Example:
        >>> within_capacity(torch.tensor([[0, 1], [1, 0], [0, 2]]), capacity=1)
        tensor([[ True, False],
                [ True, False],
                [False,  True]])
    """
    queue = experts.T.flatten()  # all first choices, then all second choices
    order = queue.argsort(stable=True)
    served = queue[order]
    place = torch.arange(len(queue), device=queue.device) - torch.searchsorted(served, served)
    has_room = torch.empty_like(queue, dtype=torch.bool).scatter(0, order, place < capacity)
    return has_room.view(experts.shape[1], -1).T


def expert_load(experts: Int[Tensor, "N A"], num_experts: int) -> Float[Tensor, " E"]:
    """The fraction of all choices that falls on each expert."""
    choices = experts.flatten()
    ones = torch.ones(len(choices), device=choices.device)
    return torch.zeros(num_experts, device=choices.device).index_add(0, choices, ones) / len(choices)


def load_balancing_loss(probabilities: Float[Tensor, "N E"], load: Float[Tensor, " E"]) -> Float[Tensor, ""]:
    """How unevenly the experts are used: 1 if all are used equally, E / A if all tokens choose the same ones.

    The load itself has no gradient; the probabilities have one, and it is largest where the load is.

    Args:
        load: the fraction of all choices that falls on each expert, of these tokens or of the whole batch.

    Source: Fedus et al. 2021, arXiv:2101.03961, equation 4; the load of the whole batch: Qiu et al. 2025,
    arXiv:2501.11873.
    Differs: the load is divided by the experts per token, so that the least value is 1 for any number of them.
    """
    return probabilities.shape[-1] * load.to(probabilities.dtype) @ probabilities.mean(dim=0)


def router_z_loss(logits: Float[Tensor, "N E"]) -> Float[Tensor, ""]:
    """How large the router's scores are. A softmax does not depend on their size, but rounding in low precision does.

    Source: Zoph et al. 2022, arXiv:2202.08906, equation 5.
    """
    return logits.logsumexp(dim=-1).square().mean()


def balanced_bias(bias: Float[Tensor, " E"], load: Float[Tensor, " E"], rate: float) -> Float[Tensor, " E"]:
    """The next selection bias: down for experts with more than the mean load, up for those with less.

    Source: Wang et al. 2024, arXiv:2408.15664, algorithm 1.
    """
    return bias + rate * (load.mean() - load).sign()


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpertStatistics:
    """How one layer used its experts.

    Args:
        load: the fraction of the choices that fell on each expert.
        entropy_nats: of the load; log E if all are used equally, 0 if one takes everything.
        max_over_mean: the busiest expert's load as a multiple of the mean.
        dead_experts: how many were never chosen.
        dropped_fraction: of the choices, those that found their expert full.
    """

    load: Float[Tensor, " E"]
    entropy_nats: float
    max_over_mean: float
    dead_experts: int
    dropped_fraction: float


def expert_statistics(routing: Routing) -> ExpertStatistics:
    """Count how one layer used its experts."""
    load = expert_load(routing.experts, routing.logits.shape[-1])
    return ExpertStatistics(
        load=load,
        entropy_nats=torch.special.entr(load).sum().item(),
        max_over_mean=(load.max() / load.mean()).item(),
        dead_experts=int((load == 0).sum()),
        dropped_fraction=1.0 - routing.kept.float().mean().item(),
    )
