"""GaLore: AdamW's state in a space of low rank.

    P = first r left singular vectors of the gradient, found again every few hundred steps
    weight = weight - rate * scale * P adam(P' gradient)

The gradients of a matrix vary in few directions. AdamW's two running means hold only those: r * M numbers in place
of N * M each. The weights keep their full rank, because the directions change.

Source: Zhao et al. 2024, arXiv:2403.03507, algorithm 2.
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.training.optimizers.adamw import adamw_step
from gemini_workshop.training.optimizers.each import EachParameter


def projection(gradient: Float[Tensor, "*B N M"], rank: int) -> Float[Tensor, "*B N rank"]:
    """The directions in which most of the gradient lies: orthonormal columns, strongest first."""
    wide = gradient.to(torch.promote_types(gradient.dtype, torch.float32))
    return torch.linalg.svd(wide, full_matrices=False).U[..., :rank].to(gradient.dtype).contiguous()


class GaLore(EachParameter):
    """GaLore for the groups that have a ``rank``, AdamW for the others.

    Args:
        every_steps: steps between two new projections. The running means are kept across the change, as by the authors.
        scale: factor of the projected update.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        rank: int | None = None,
        every_steps: int = 200,
        scale: float = 0.25,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"rank": rank, "every_steps": every_steps, "scale": scale})

    def move(self, weight: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]) -> None:
        """An AdamW step, in the projected space if the group has a rank below that of the matrix."""
        is_low_rank = options["rank"] is not None and options["rank"] < min(weight.shape[-2:])
        if is_low_rank:
            if int(state.get("step", 0)) % options["every_steps"] == 0:
                state["projection"] = projection(gradient, options["rank"])
            gradient = state["projection"].mT @ gradient
        if "step" not in state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
        state["step"] += 1
        update, (beta1, beta2) = torch.zeros_like(gradient), options["betas"]
        moments = state["exp_avg"], state["exp_avg_sq"], int(state["step"])
        adamw_step(update, gradient, *moments, lr=1.0, beta1=beta1, beta2=beta2, eps=options["eps"])
        if is_low_rank:
            update = options["scale"] * (state["projection"] @ update)
        weight.mul_(1 - options["lr"] * options["weight_decay"]).add_(options["lr"] * update)
