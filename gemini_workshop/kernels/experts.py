"""Many small feed-forward layers, of which each token passes a few: the computation, without loops over tokens.

    output = sum over the token's experts of weight * ((activation(x gate) * (x up)) down)

A **choice** is one token with one of its experts: N tokens with A experts each are N * A choices. Sorted by expert,
they are one block of rows per expert. ``order`` holds the numbers of the choices (token * A + place) in that order, and
``ends`` where each block ends. Two tokens with two of three experts each:

    choice   0 1 2 3         order    1 2 3 0     (so tokens 0 1 1 0)
    token    0 0 1 1         expert   0 0 1 2
    expert   2 0 0 1         ends         2 3 4

There are two ways from there: one kernel for all blocks, where PyTorch has a fast one, or one product per block.

Source: Gale et al. 2022, arXiv:2211.15841, section 4 (dispatch by sorting, nothing dropped).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.kernels.experts_operator import run_experts
from gemini_workshop.models.experts import ExpertWeights
from gemini_workshop.models.feedforward import gate_halves
from gemini_workshop.models.moe import Experts
from gemini_workshop.models.routing import Routing

FEW_ROWS = 32  # per expert, on average: up to here, one call for all experts is faster on a CPU


def fast_moe_forward(x: Float[Tensor, "N D"], routing: Routing, experts: ExpertWeights) -> Float[Tensor, "N D"]:
    """:func:`~gemini_workshop.models.experts.sparse_moe_forward`, each expert's tokens as one block of rows."""
    is_grouped = prefers_grouped_mm(x, routing.experts.numel(), experts)
    return grouped_experts(x, routing, experts) if is_grouped else experts_one_by_one(x, routing, experts)


def sort_by_expert(experts: Int[Tensor, "N A"], num_experts: int) -> tuple[Int[Tensor, " choices"], Int[Tensor, " E"]]:
    """The choices in the order of their experts, and where each expert's block ends.

    A choice of expert ``num_experts``, which does not exist, comes after all blocks: this is how choices are left out.

    Example:
        >>> sort_by_expert(torch.tensor([[2, 0], [0, 1]]), num_experts=3)
        (tensor([1, 2, 3, 0]), tensor([2, 3, 4]))
    """
    in_order, order = experts.flatten().sort(stable=True)
    return order, torch.searchsorted(in_order, torch.arange(num_experts, device=experts.device), right=True)


def prefers_grouped_mm(x: Tensor, num_choices: int, experts: ExpertWeights) -> bool:
    """Whether PyTorch multiplies all experts' blocks by one kernel, and faster than by a product for each.

    It is faster on a GPU, in bfloat16; and on a CPU for gradients of few rows, where calls cost more than products. Its
    rows must begin at multiples of 16 bytes: of 8 numbers in bfloat16.
    """
    is_aligned = all(size % 8 == 0 for size in (*experts.gate_up.shape[1:], *experts.down.shape[1:]))
    if x.is_cuda:
        is_faster = x.dtype == torch.bfloat16
    else:
        needs_gradient = torch.is_grad_enabled() and experts.gate_up.requires_grad
        is_faster = needs_gradient and x.dtype == torch.float32 and num_choices <= FEW_ROWS * len(experts)
    return is_faster and is_aligned and hasattr(F, "grouped_mm")


def grouped_experts(x: Tensor, routing: Routing, experts: ExpertWeights) -> Tensor:
    """:func:`fast_moe_forward` by one kernel for each projection; what is not kept is computed, with weight 0.

    The ends of the blocks stay on the device: nothing waits for it.
    """
    order, ends = sort_by_expert(routing.experts, len(experts))
    tokens, expert_of = order // routing.experts.shape[1], routing.experts.flatten()[order]
    ends = ends.to(torch.int32)
    projected = F.grouped_mm(x[tokens], experts.gate_up.mT, offs=ends)
    projected = projected if experts.gate_up_bias is None else projected + experts.gate_up_bias[expert_of]
    output = F.grouped_mm(gate_halves(projected, experts.activation), experts.down.mT, offs=ends)
    output = output if experts.down_bias is None else output + experts.down_bias[expert_of]
    weights = (routing.weights * routing.kept).flatten()[order].to(x.dtype)
    return torch.zeros_like(x).index_add(0, tokens, output * weights.unsqueeze(-1))


def experts_one_by_one(x: Tensor, routing: Routing, experts: ExpertWeights) -> Tensor:
    """:func:`fast_moe_forward` by matrix products of one expert after the other; what is not kept is not computed."""
    order, ends = sort_by_expert(routing.experts.masked_fill(~routing.kept, len(experts)), len(experts))
    weights, biases = routing.weights.to(x.dtype), (experts.gate_up_bias, experts.down_bias)
    return run_experts(x, weights, order, ends, experts.gate_up, experts.down, *biases, experts.activation)[0]


class FastExperts(Experts):
    """Experts by :func:`fast_moe_forward`."""

    compute = staticmethod(fast_moe_forward)
