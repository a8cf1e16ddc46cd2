"""The derivative of the gate between an expert's two projections, written out.

    gatehalves([gate | up]) = activation(gate) * up

The experts' backward pass is one operation of its own, and inside such an operation there is no autograd.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.models.feedforward import ACTIVATIONS, CLAMP, CLAMPED_SWISH, SWISH_SLOPE, halves, swish

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


def gate_backward(
    grad: Float[Tensor, "rows F"], projected: Float[Tensor, "rows FF"], activation: str
) -> tuple[Float[Tensor, "rows F"], Float[Tensor, "rows FF"]]:
    """What ``gate_halves`` returned, computed again, and the gradient of what it was given."""
    gate, up = halves(projected, activation)
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
