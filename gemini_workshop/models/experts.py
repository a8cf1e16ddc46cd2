"""Many small feed-forward layers, of which each token passes a few: the computation, without loops over tokens.

    output = sum over the token's experts of weight * ((activation(x gate) * (x up)) down)

Tokens are sorted by expert, so that each expert multiplies one block of rows.

Source: Gale et al. 2022, arXiv:2211.15841, section 4 (dispatch by sorting, nothing dropped).
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.models.routing import Routing

Gate = Callable[[Tensor, Tensor], Tensor]


def clamped_gate(gate: Float[Tensor, "*B F"], up: Float[Tensor, "*B F"]) -> Float[Tensor, "*B F"]:
    """The gate of gpt-oss: bounded, nearly GELU, and open for ``up`` at zero."""
    gate, up = gate.clamp(max=7.0), up.clamp(-7.0, 7.0)
    return gate * torch.sigmoid(1.702 * gate) * (up + 1)


def sort_by_expert(routing: Routing) -> tuple[Int[Tensor, " rows"], Int[Tensor, " E"]]:
    """The choices in the order of their experts, and where each expert's end; dropped ones stand behind all others."""
    num_experts = routing.logits.shape[-1]
    experts = routing.experts.masked_fill(~routing.kept, num_experts).flatten()
    experts, order = experts.sort(stable=True)
    ends = torch.searchsorted(experts, torch.arange(num_experts, device=experts.device), right=True)
    return order, ends


def moe_forward(
    x: Float[Tensor, "N D"],
    routing: Routing,
    gate_up: Float[Tensor, "E FF D"],
    down: Float[Tensor, "E D F"],
    gate: Gate,
    gate_up_bias: Float[Tensor, "E FF"] | None = None,
    down_bias: Float[Tensor, "E D"] | None = None,
) -> Float[Tensor, "N D"]:
    """Send each token through its experts and add up what comes back.

    Args:
        gate_up: the F rows of the gate first, then the F rows of the other projection up.
    """
    order, ends = sort_by_expert(routing)
    tokens = order // routing.experts.shape[-1]
    hidden = gate(*grouped_linear(x[tokens], gate_up, gate_up_bias, ends).chunk(2, dim=-1))
    weights = routing.weights.flatten()[order].unsqueeze(-1).to(x.dtype)
    output = grouped_linear(hidden, down, down_bias, ends)
    return torch.zeros_like(x).index_add(0, tokens, output * weights)


def dense_moe_forward(
    x: Float[Tensor, "N D"],
    routing: Routing,
    gate_up: Float[Tensor, "E FF D"],
    down: Float[Tensor, "E D F"],
    gate: Gate,
    gate_up_bias: Float[Tensor, "E FF"] | None = None,
    down_bias: Float[Tensor, "E D"] | None = None,
) -> Float[Tensor, "N D"]:
    """:func:`moe_forward` written out: all experts see all tokens, and those not chosen weigh nothing."""
    weights = torch.zeros_like(routing.shares).scatter(-1, routing.experts, routing.weights * routing.kept)
    hidden = torch.einsum("nd,efd->nef", x, gate_up)
    hidden = gate(*(hidden if gate_up_bias is None else hidden + gate_up_bias).chunk(2, dim=-1))
    output = torch.einsum("nef,edf->ned", hidden, down)
    return torch.einsum("ned,ne->nd", output if down_bias is None else output + down_bias, weights.to(x.dtype))


@torch.library.custom_op("gemini_workshop::grouped_linear", mutates_args=())
def grouped_linear(rows: Tensor, weight: Tensor, bias: Tensor | None, ends: Tensor) -> Tensor:
    """A linear layer for each block of rows, written as one operation, so that compiled code need not look inside.

    Args:
        ends: where each block ends; rows behind the last become zero.
    """
    output = rows.new_zeros(len(rows), weight.shape[1])
    for e, (start, end) in _blocks(ends):
        if bias is None:
            torch.mm(rows[start:end], weight[e].T, out=output[start:end])
        else:
            torch.addmm(bias[e], rows[start:end], weight[e].T, out=output[start:end])
    return output


@torch.library.custom_op("gemini_workshop::grouped_linear_backward", mutates_args=())
def grouped_linear_backward(
    grad: Tensor, rows: Tensor, weight: Tensor, ends: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of rows, weight and bias."""
    grad_rows, grad_weight = torch.zeros_like(rows), torch.zeros_like(weight)
    grad_bias = grad.new_zeros(weight.shape[:2] if has_bias else (0,))
    for e, (start, end) in _blocks(ends):
        torch.mm(grad[start:end], weight[e], out=grad_rows[start:end])
        torch.mm(grad[start:end].T, rows[start:end], out=grad_weight[e])
        if has_bias:
            torch.sum(grad[start:end], dim=0, out=grad_bias[e])
    return grad_rows, grad_weight, grad_bias


def _blocks(ends: Tensor) -> list[tuple[int, tuple[int, int]]]:
    """Number, start and end of every expert that has rows."""
    return [(e, block) for e, block in enumerate(pairwise([0, *ends.tolist()])) if block[0] < block[1]]


@grouped_linear.register_fake
def _(rows: Tensor, weight: Tensor, _bias: Tensor | None, _ends: Tensor) -> Tensor:
    return rows.new_empty(rows.shape[0], weight.shape[1])


@grouped_linear_backward.register_fake
def _(grad: Tensor, rows: Tensor, weight: Tensor, _ends: Tensor, has_bias: bool) -> tuple[Tensor, Tensor, Tensor]:
    bias = grad.new_empty(weight.shape[:2] if has_bias else (0,))
    return torch.empty_like(rows), torch.empty_like(weight), bias


def _save(ctx: Any, inputs: tuple, output: Tensor) -> None:  # noqa: ARG001
    rows, weight, bias, ends = inputs
    ctx.save_for_backward(rows, weight, ends)
    ctx.has_bias = bias is not None


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    rows, weight, ends = ctx.saved_tensors
    grad_rows, grad_weight, grad_bias = grouped_linear_backward(grad, rows, weight, ends, ctx.has_bias)
    return grad_rows, grad_weight, grad_bias if ctx.has_bias else None, None


grouped_linear.register_autograd(_backward, setup_context=_save)
