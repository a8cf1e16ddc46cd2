"""Many small feed-forward layers, of which each token passes a few: the computation, without loops over tokens.

    output = sum over the token's experts of weight * ((activation(x gate) * (x up)) down)

The choices are sorted by expert, so that each expert multiplies one block of rows.

Source: Gale et al. 2022, arXiv:2211.15841, section 4 (dispatch by sorting, nothing dropped).
"""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.models.gates import gated, gated_backward
from gemini_workshop.models.onednn import onednn_products
from gemini_workshop.models.routing import Routing

FEW_ROWS = 32  # of an expert, on average


def moe_forward(
    x: Float[Tensor, "N D"],
    routing: Routing,
    gate_up: Float[Tensor, "E FF D"],
    down: Float[Tensor, "E D F"],
    activation: str,
    gate_up_bias: Float[Tensor, "E FF"] | None = None,
    down_bias: Float[Tensor, "E D"] | None = None,
) -> Float[Tensor, "N D"]:
    """Send each token through its experts and add up what comes back; a choice that is not kept adds nothing.

    Args:
        gate_up: the F rows of the gate first, then the F rows of the other projection up.
    """
    is_grouped = has_grouped_mm(x, routing.experts.numel(), gate_up, down)
    compute = grouped_experts if is_grouped else experts_one_by_one
    return compute(x, routing, gate_up, down, activation, gate_up_bias, down_bias)


def dense_moe_forward(
    x: Float[Tensor, "N D"],
    routing: Routing,
    gate_up: Float[Tensor, "E FF D"],
    down: Float[Tensor, "E D F"],
    activation: str,
    gate_up_bias: Float[Tensor, "E FF"] | None = None,
    down_bias: Float[Tensor, "E D"] | None = None,
) -> Float[Tensor, "N D"]:
    """:func:`moe_forward` by the definition: all experts see all tokens, and those not chosen weigh nothing."""
    weights = torch.zeros_like(routing.shares).scatter(-1, routing.experts, routing.weights * routing.kept)
    projected = torch.einsum("nd,efd->nef", x, gate_up)
    hidden = gated(projected if gate_up_bias is None else projected + gate_up_bias, activation)
    output = torch.einsum("nef,edf->ned", hidden, down)
    return torch.einsum("ned,ne->nd", output if down_bias is None else output + down_bias, weights.to(x.dtype))


def sort_by_expert(experts: Int[Tensor, "N A"], num_experts: int) -> tuple[Int[Tensor, " choices"], Int[Tensor, " E"]]:
    """The choices in the order of their experts, and where each expert's block ends.

    Choices are numbered token by token. Those of ``num_experts``, an expert that does not exist, stand behind all
    blocks.

    Example:
        >>> sort_by_expert(torch.tensor([[1, 0], [2, 1]]), num_experts=3)
        (tensor([1, 0, 3, 2]), tensor([1, 3, 4]))
    """
    in_order, order = experts.flatten().sort(stable=True)
    return order, torch.searchsorted(in_order, torch.arange(num_experts, device=experts.device), right=True)


def has_grouped_mm(x: Tensor, num_choices: int, gate_up: Tensor, down: Tensor) -> bool:
    """Whether PyTorch multiplies all experts' blocks by one kernel that is worth it.

    It is on a GPU, in bfloat16; and on a CPU for gradients of few rows, where calls cost more than products. Its rows
    must begin at multiples of 16 bytes.
    """
    is_aligned = all(size % 8 == 0 for size in (*gate_up.shape[1:], *down.shape[1:]))
    if x.is_cuda:
        is_worth_it = x.dtype == torch.bfloat16
    else:
        needs_gradient = torch.is_grad_enabled() and gate_up.requires_grad
        is_worth_it = needs_gradient and x.dtype == torch.float32 and num_choices <= FEW_ROWS * len(gate_up)
    return is_worth_it and is_aligned and hasattr(F, "grouped_mm")


def grouped_experts(
    x: Tensor,
    routing: Routing,
    gate_up: Tensor,
    down: Tensor,
    activation: str,
    gate_up_bias: Tensor | None,
    down_bias: Tensor | None,
) -> Tensor:
    """:func:`moe_forward` by one kernel for each projection. Nothing waits for the device."""
    order, ends = sort_by_expert(routing.experts, len(gate_up))
    tokens, experts = order // routing.experts.shape[1], routing.experts.flatten()[order]
    ends = ends.to(torch.int32)
    projected = F.grouped_mm(x[tokens], gate_up.mT, offs=ends)
    hidden = gated(projected if gate_up_bias is None else projected + gate_up_bias[experts], activation)
    output = F.grouped_mm(hidden, down.mT, offs=ends)
    output = output if down_bias is None else output + down_bias[experts]
    weights = (routing.weights * routing.kept).flatten()[order].to(x.dtype)
    return torch.zeros_like(x).index_add(0, tokens, output * weights.unsqueeze(-1))


def experts_one_by_one(
    x: Tensor,
    routing: Routing,
    gate_up: Tensor,
    down: Tensor,
    activation: str,
    gate_up_bias: Tensor | None,
    down_bias: Tensor | None,
) -> Tensor:
    """:func:`moe_forward` by matrix products of one expert after the other; what is not kept is not computed."""
    order, ends = sort_by_expert(routing.experts.masked_fill(~routing.kept, len(gate_up)), len(gate_up))
    weights = routing.weights.to(x.dtype)
    run = torch.ops.gemini_workshop.run_experts
    return run(x, weights, order, ends, gate_up, down, gate_up_bias, down_bias, activation)[0]


# One operation with a derivative of its own: autograd would add a gradient of all experts' weights for each expert,
# and torch.compile need not look into a loop whose bounds are data. (torch.library.custom_op would import the whole
# compiler at the first call.)
_FORWARD, _BACKWARD = "gemini_workshop::run_experts", "gemini_workshop::run_experts_backward"
torch.library.define(
    _FORWARD,
    "(Tensor x, Tensor weights, Tensor order, Tensor ends, Tensor gate_up, Tensor down, Tensor? gate_up_bias, "
    "Tensor? down_bias, str activation) -> (Tensor, Tensor, Tensor)",
)
torch.library.define(
    _BACKWARD,
    "(Tensor grad, Tensor x, Tensor weights, Tensor order, Tensor ends, Tensor gate_up, Tensor down, Tensor projected, "
    "Tensor answers, str activation, bool has_bias) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)


@torch.library.impl(_FORWARD, "default")
def _run_experts(
    x: Tensor,
    weights: Tensor,
    order: Tensor,
    ends: Tensor,
    gate_up: Tensor,
    down: Tensor,
    gate_up_bias: Tensor | None,
    down_bias: Tensor | None,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """The output, and for the backward pass each choice's projections and unweighted answer."""
    rows = x.index_select(0, order // weights.shape[1])
    projected, answers = x.new_empty(len(order), gate_up.shape[1]), torch.empty_like(rows)
    with onednn_products(x):
        for e, block in _blocks(ends):
            _linear(rows[block], gate_up[e], gate_up_bias, e, out=projected[block])
            _linear(gated(projected[block], activation), down[e], down_bias, e, out=answers[block])
    return _add_up(answers, order, ends, weights.shape[1], weights), projected, answers


@torch.library.impl(_BACKWARD, "default")
def _run_experts_backward(
    grad: Tensor,
    x: Tensor,
    weights: Tensor,
    order: Tensor,
    ends: Tensor,
    gate_up: Tensor,
    down: Tensor,
    projected: Tensor,
    answers: Tensor,
    activation: str,
    has_bias: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of x, weights, gate_up, down and their biases, each written once."""
    tokens = order // weights.shape[1]
    rows, grad_answers = x.index_select(0, tokens), grad.index_select(0, tokens)
    grad_weights = torch.empty_like(weights)
    grad_weights.view(-1)[order] = (answers * grad_answers).sum(dim=-1)
    grad_answers.mul_(weights.flatten()[order].unsqueeze(-1))
    blocks, grad_rows = _blocks(ends), torch.empty_like(rows)
    allocate = torch.empty_like if len(blocks) == len(down) else torch.zeros_like  # zeros for experts without rows
    grad_gate_up, grad_down = allocate(gate_up), allocate(down)
    grad_gate_up_bias = x.new_zeros(gate_up.shape[:2] if has_bias else (0,))
    grad_down_bias = x.new_zeros(down.shape[:2] if has_bias else (0,))
    with onednn_products(x):
        for e, block in blocks:
            grad_block = grad_answers[block]
            hidden, grad_projected = gated_backward(grad_block @ down[e], projected[block], activation)
            torch.mm(grad_block.T, hidden, out=grad_down[e])
            torch.mm(grad_projected.T, rows[block], out=grad_gate_up[e])
            torch.mm(grad_projected, gate_up[e], out=grad_rows[block])
            if has_bias:
                torch.sum(grad_block, dim=0, out=grad_down_bias[e])
                torch.sum(grad_projected, dim=0, out=grad_gate_up_bias[e])
    grad_x = _add_up(grad_rows, order, ends, weights.shape[1])
    return grad_x, grad_weights, grad_gate_up, grad_down, grad_gate_up_bias, grad_down_bias


def _add_up(rows: Tensor, order: Tensor, ends: Tensor, per_token: int, weights: Tensor | None = None) -> Tensor:
    """Each token's sum, weighted if asked, of its rows, which stand in the order of their experts."""
    rows[ends[-1] :] = 0
    places = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
    return F.embedding_bag(places.view(-1, per_token), rows, mode="sum", per_sample_weights=weights)


def _linear(rows: Tensor, weight: Tensor, bias: Tensor | None, e: int, out: Tensor) -> None:
    torch.mm(rows, weight.T, out=out) if bias is None else torch.addmm(bias[e], rows, weight.T, out=out)


def _blocks(ends: Tensor) -> list[tuple[int, slice]]:
    """Number and rows of each expert that has some."""
    borders = enumerate(pairwise([0, *ends.tolist()]))
    return [(e, slice(start, end)) for e, (start, end) in borders if start < end]


@torch.library.register_fake(_FORWARD)
def _(x: Tensor, _weights: Tensor, order: Tensor, _ends: Tensor, gate_up: Tensor, *_: Any) -> tuple[Tensor, ...]:
    rows = order.shape[0]
    return torch.empty_like(x), x.new_empty(rows, gate_up.shape[1]), x.new_empty(rows, x.shape[1])


@torch.library.register_fake(_BACKWARD)
def _(
    _grad: Tensor, x: Tensor, weights: Tensor, _order: Tensor, _ends: Tensor, gate_up: Tensor, down: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    has_bias = rest[-1]
    biases = (x.new_empty(w.shape[:2] if has_bias else (0,)) for w in (gate_up, down))
    return *(torch.empty_like(of) for of in (x, weights, gate_up, down)), *biases


def _save(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
    x, weights, order, ends, gate_up, down, _, down_bias, ctx.activation = inputs
    ctx.save_for_backward(x, weights, order, ends, gate_up, down, *output[1:])
    ctx.has_bias = down_bias is not None
    ctx.set_materialize_grads(False)  # nothing reads the other outputs: no zeros for their gradients


def _backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    run = torch.ops.gemini_workshop.run_experts_backward
    gradients = run(grad, *ctx.saved_tensors, ctx.activation, ctx.has_bias)
    grad_x, grad_weights, grad_gate_up, grad_down, *biases = gradients
    biases = biases if ctx.has_bias else [None, None]
    return grad_x, grad_weights, None, None, grad_gate_up, grad_down, *biases, None


torch.library.register_autograd(_FORWARD, _backward, setup_context=_save)
