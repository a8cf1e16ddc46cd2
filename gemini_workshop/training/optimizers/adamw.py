"""AdamW written out: a step as large as the gradient is reliable.

    mean   = beta1 * mean   + (1 - beta1) * gradient
    square = beta2 * square + (1 - beta2) * gradient^2
    weight = weight - rate * decay * weight - rate * mean' / (sqrt(square') + eps)

where ' corrects for both having started at zero. A number whose gradient always points the same way moves by the
whole rate at every step; one whose gradient keeps changing its sign hardly moves at all.

Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1; Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.training.optimizers.each import EachParameter

FUSED_DEVICES = ("cpu", "cuda")  # where PyTorch's AdamW is one kernel


def adamw_step(
    weight: Float[Tensor, "*N"],
    gradient: Float[Tensor, "*N"],
    mean: Float[Tensor, "*N"],
    square: Float[Tensor, "*N"],
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.95,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> None:
    """Move the weight, and update both running means, in place.

    Args:
        step: number of this step; the first is 1.
        weight_decay: pull towards zero, separate from the gradient, so that it is the same for every weight.
    """
    mean.lerp_(gradient, 1 - beta1)
    square.lerp_(gradient.square(), 1 - beta2)
    expected_mean, expected_square = mean / (1 - beta1**step), square / (1 - beta2**step)
    weight.mul_(1 - lr * weight_decay).sub_(lr * expected_mean / (expected_square.sqrt() + eps))


class AdamW(EachParameter):
    """:func:`adamw_step` for every parameter. Training takes PyTorch's own, which is the same in one fused kernel."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def move(self, weight: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]) -> None:
        """One :func:`adamw_step`."""
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        state["step"] += 1
        (beta1, beta2), step = options["betas"], int(state["step"])
        others = {"lr": options["lr"], "eps": options["eps"], "weight_decay": options["weight_decay"]}
        adamw_step(weight, gradient, state["exp_avg"], state["exp_avg_sq"], step, beta1=beta1, beta2=beta2, **others)
