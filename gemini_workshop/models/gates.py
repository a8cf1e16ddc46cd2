"""The gate between an expert's two projections, and its derivative written out.

    gated([gate | up]) = activation(gate) * up

The experts' backward pass is one operation of its own, and inside such an operation there is no autograd.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.models.feedforward import ACTIVATIONS, gate_units

CLAMPED_SWISH = "clamped_swish"
SWISH_SLOPE, CLAMP = 1.702, 7.0

aten: Any = torch.ops.aten
# What each activation turns the gradient of its output into: the gradient of its input.
DERIVATIVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda grad, x: grad * (x > 0),
    "relu_squared": lambda grad, x: grad * 2 * F.relu(x),
    "gelu": aten.gelu_backward,
    "gelu_tanh": partial(aten.gelu_backward, approximate="tanh"),
    "silu": aten.silu_backward,
    CLAMPED_SWISH: lambda grad, x: aten.silu_backward(grad, SWISH_SLOPE * x),
}


def swish(x: Float[Tensor, "*B F"]) -> Float[Tensor, "*B F"]:
    """``x * sigmoid(1.702 x)``: nearly GELU."""
    return x * torch.sigmoid(SWISH_SLOPE * x)


def gated(projected: Float[Tensor, "*B FF"], activation: str) -> Float[Tensor, "*B F"]:
    """Let the first half of the channels decide how much of the second half passes.

    Args:
        activation: one of the feed-forward's, or ``clamped_swish``, which is gpt-oss's: both halves are bounded,
            and one is added to the second.
    """
    gate, up = _halves(projected, activation)
    return gate_units(gate, up, swish if activation == CLAMPED_SWISH else ACTIVATIONS[activation])


def gated_backward(
    grad: Float[Tensor, "rows F"], projected: Float[Tensor, "rows FF"], activation: str
) -> tuple[Float[Tensor, "rows F"], Float[Tensor, "rows FF"]]:
    """What :func:`gated` returned, computed again, and the gradient of what it was given."""
    gate, up = _halves(projected, activation)
    activated = swish(gate) if activation == CLAMPED_SWISH else ACTIVATIONS[activation](gate)
    grad_projected = torch.empty_like(projected)
    grad_gate, grad_up = grad_projected.chunk(2, dim=-1)
    torch.mul(grad, activated, out=grad_up)
    grad_gate.copy_(DERIVATIVES[activation](grad * up, gate))
    if activation == CLAMPED_SWISH:
        raw_gate, raw_up = projected.chunk(2, dim=-1)
        grad_gate.mul_(raw_gate <= CLAMP)
        grad_up.mul_(raw_up.abs() <= CLAMP)
    return activated.mul_(up), grad_projected


def _halves(projected: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    gate, up = projected.chunk(2, dim=-1)
    if activation == CLAMPED_SWISH:
        return gate.clamp(max=CLAMP), up.clamp(-CLAMP, CLAMP) + 1
    return gate, up
