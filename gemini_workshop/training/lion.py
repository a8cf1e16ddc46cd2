"""Lion: every number moves by the same step, up or down.

    weight = weight - rate * (sign(lerp(momentum, gradient, 1 - beta1)) + decay * weight)
    momentum = beta2 * momentum + (1 - beta2) * gradient

One memory a weight instead of AdamW's two. The step of each number is the whole rate, so the rate is chosen three to
ten times smaller than AdamW's, and the decay as many times larger.

Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def lion_step(
    weight: Float[Tensor, "*N"],
    gradient: Float[Tensor, "*N"],
    momentum: Float[Tensor, "*N"],
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> None:
    """Move the weight and update the momentum in place."""
    direction = momentum.lerp(gradient, 1 - beta1).sign_()
    weight.mul_(1 - lr * weight_decay).sub_(lr * direction)
    momentum.lerp_(gradient, 1 - beta2)


class Lion(torch.optim.Optimizer):
    """:func:`lion_step` for every parameter."""

    def __init__(
        self, params: Iterable[Any], lr: float, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                memory = self.state[weight]
                if not memory:
                    memory["momentum"] = torch.zeros_like(weight)
                beta1, beta2 = group["betas"]
                options = {"lr": group["lr"], "beta1": beta1, "beta2": beta2, "weight_decay": group["weight_decay"]}
                lion_step(weight, weight.grad, memory["momentum"], **options)
