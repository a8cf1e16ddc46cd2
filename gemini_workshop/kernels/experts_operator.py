"""Experts one after the other as one operation with a derivative of its own.

Autograd would add a gradient of all experts' weights for each expert, and torch.compile need not look into a loop whose
bounds are data. (torch.library.custom_op would import the whole compiler at the first call.)

The rows are in the order of their experts: see :mod:`gemini_workshop.kernels.experts` for ``order`` and ``ends``, and
a drawing of both. Operations have no shapes in their signatures, so here they are, with N * A choices:

    x (N, D)    weights (N, A)    order (N * A)    ends (E)    gate_up (E, FF, D)    down (E, D, F)
    rows, answers (N * A, D)      projected (N * A, FF): what an expert's first product gives, before the gate
    biases (E, FF) and (E, D): both, or neither
"""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gemini_workshop.kernels.gates import gate_backward
from gemini_workshop.kernels.onednn import onednn_products
from gemini_workshop.models.feedforward import gate_halves

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
    """The output, and for the backward pass each choice's projections and unweighted answer.

    Choices that were left out come after all blocks. Their answer is 0; their projections are never read.
    """
    rows = x.index_select(0, order // weights.shape[1])
    projected, answers = x.new_empty(len(order), gate_up.shape[1]), torch.empty_like(rows)
    with onednn_products(x):
        for e, block in _blocks(ends):
            _linear(rows[block], gate_up[e], gate_up_bias, e, out=projected[block])
            _linear(gate_halves(projected[block], activation), down[e], down_bias, e, out=answers[block])
    answers[ends[-1] :] = 0
    return _sum_per_token(answers, order, weights.shape[1], weights), projected, answers


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
    """The gradients of x, weights, gate_up, down and their biases, each written once.

    A token's output is the sum of its weighted answers. So the gradient of each of these is the token's own; times the
    answer it is that of the weight, times the weight that of the answer.
    """
    tokens = order // weights.shape[1]
    rows, grad_weighted = x.index_select(0, tokens), grad.index_select(0, tokens)
    grad_weights = torch.empty_like(weights)
    grad_weights.view(-1)[order] = (answers * grad_weighted).sum(dim=-1)
    grad_answers = grad_weighted.mul_(weights.flatten()[order].unsqueeze(-1))  # in the same memory
    blocks, grad_rows = _blocks(ends), torch.empty_like(rows)
    allocate = torch.empty_like if len(blocks) == len(down) else torch.zeros_like  # zeros for experts without rows
    grad_gate_up, grad_down = allocate(gate_up), allocate(down)
    grad_gate_up_bias = x.new_zeros(gate_up.shape[:2] if has_bias else (0,))
    grad_down_bias = x.new_zeros(down.shape[:2] if has_bias else (0,))
    with onednn_products(x):
        for e, block in blocks:
            grad_block = grad_answers[block]
            hidden, grad_projected = gate_backward(grad_block @ down[e], projected[block], activation)
            torch.mm(grad_block.T, hidden, out=grad_down[e])
            torch.mm(grad_projected.T, rows[block], out=grad_gate_up[e])
            torch.mm(grad_projected, gate_up[e], out=grad_rows[block])
            if has_bias:
                torch.sum(grad_block, dim=0, out=grad_down_bias[e])
                torch.sum(grad_projected, dim=0, out=grad_gate_up_bias[e])
    grad_rows[ends[-1] :] = 0
    grad_x = _sum_per_token(grad_rows, order, weights.shape[1])
    return grad_x, grad_weights, grad_gate_up, grad_down, grad_gate_up_bias, grad_down_bias


def _sum_per_token(rows: Tensor, order: Tensor, per_token: int, weights: Tensor | None = None) -> Tensor:
    """Each token's sum, weighted if asked, of its rows, which are in the order of their experts.

    Example, choices 0 and 1 (of token 0) in rows 3 and 0, choices 2 and 3 (of token 1) in rows 1 and 2:
        >>> _sum_per_token(torch.tensor([[1.0], [2.0], [3.0], [40.0]]), torch.tensor([1, 2, 3, 0]), per_token=2)
        tensor([[41.],
                [ 5.]])
    """
    # The inverse of the order: at which row each choice is.
    places = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
    # A "bag" is a token, its "words" are its rows: one fused gather and weighted sum.
    return F.embedding_bag(places.view(-1, per_token), rows, mode="sum", per_sample_weights=weights)


def _linear(rows: Tensor, weight: Tensor, bias: Tensor | None, e: int, out: Tensor) -> None:
    """Write ``rows W.T + b`` of expert number e into ``out``."""
    if bias is None:
        torch.mm(rows, weight.T, out=out)
    else:
        torch.addmm(bias[e], rows, weight.T, out=out)


def _blocks(ends: Tensor) -> list[tuple[int, slice]]:
    """Number and rows of each expert that has some."""
    borders = enumerate(pairwise([0, *ends.tolist()]))
    return [(e, slice(start, end)) for e, (start, end) in borders if start < end]


@torch.library.register_fake(_FORWARD)
def _shapes_of_outputs(
    x: Tensor, _weights: Tensor, order: Tensor, _ends: Tensor, gate_up: Tensor, *_others: Any
) -> tuple[Tensor, ...]:
    rows = order.shape[0]
    return torch.empty_like(x), x.new_empty(rows, gate_up.shape[1]), x.new_empty(rows, x.shape[1])


@torch.library.register_fake(_BACKWARD)
def _shapes_of_gradients(
    _grad: Tensor,
    x: Tensor,
    weights: Tensor,
    _order: Tensor,
    _ends: Tensor,
    gate_up: Tensor,
    down: Tensor,
    _projected: Tensor,
    _answers: Tensor,
    _activation: str,
    has_bias: bool,
) -> tuple[Tensor, ...]:
    biases = (x.new_empty(w.shape[:2] if has_bias else (0,)) for w in (gate_up, down))
    return *(torch.empty_like(of) for of in (x, weights, gate_up, down)), *biases


def _save(ctx: Any, inputs: tuple, output: tuple[Tensor, ...]) -> None:
    x, weights, order, ends, gate_up, down, _, down_bias, ctx.activation = inputs
    ctx.save_for_backward(x, weights, order, ends, gate_up, down, *output[1:])
    ctx.has_bias = down_bias is not None
    ctx.set_materialize_grads(False)  # nothing reads the other outputs: no zeros for their gradients


def _backward(ctx: Any, grad: Tensor, *_others: Any) -> tuple[Tensor | None, ...]:
    run = torch.ops.gemini_workshop.run_experts_backward
    gradients = run(grad, *ctx.saved_tensors, ctx.activation, ctx.has_bias)
    grad_x, grad_weights, grad_gate_up, grad_down, *biases = gradients
    biases = biases if ctx.has_bias else [None, None]
    return grad_x, grad_weights, None, None, grad_gate_up, grad_down, *biases, None


torch.library.register_autograd(_FORWARD, _backward, setup_context=_save)
run_experts = torch.ops.gemini_workshop.run_experts
