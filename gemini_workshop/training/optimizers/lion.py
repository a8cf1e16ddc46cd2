"""Lion: every number moves by the same step, up or down.

    weight = weight - rate * (sign(lerp(momentum, gradient, 1 - beta1)) + decay * weight)
    momentum = beta2 * momentum + (1 - beta2) * gradient

It keeps one number per weight instead of AdamW's two. The step of each number is the whole rate, so the rate is chosen
three to ten times smaller than AdamW's, and the decay as many times larger.

Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2.
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.training.optimizers.each import EachParameter


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


class Lion(EachParameter):
    """:func:`lion_step` for every parameter."""

    def __init__(
        self, params: Iterable[Any], lr: float, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    def move(self, weight: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]) -> None:
        """One :func:`lion_step`."""
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        (beta1, beta2), others = options["betas"], {"lr": options["lr"], "weight_decay": options["weight_decay"]}
        lion_step(weight, gradient, state["momentum"], beta1=beta1, beta2=beta2, **others)
