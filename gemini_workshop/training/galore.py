"""GaLore: AdamW's memory in a space of low rank.

    P = first r left singular vectors of the gradient, found again every few hundred steps
    weight = weight - rate * scale * P adam(P' gradient)

The gradients of a matrix vary in few directions. AdamW's two memories hold only those: r * M numbers in place of
N * M each. The weights keep their full rank, because the directions change.

Source: Zhao et al. 2024, arXiv:2403.03507, algorithm 2.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.training.adamw import adamw_step


def projection(gradient: Float[Tensor, "*B N M"], rank: int) -> Float[Tensor, "*B N rank"]:
    """The directions in which most of the gradient lies: orthonormal columns, strongest first."""
    wide = gradient.to(torch.promote_types(gradient.dtype, torch.float32))
    return torch.linalg.svd(wide, full_matrices=False).U[..., :rank].to(gradient.dtype).contiguous()


class GaLore(torch.optim.Optimizer):
    """GaLore for the groups that say ``rank``, AdamW for the others.

    Args:
        every_steps: steps between two new projections. The memories are kept across the change, as the authors do.
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

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group)

    def _move(self, weight: Tensor, group: dict[str, Any]) -> None:
        memory, gradient = self.state[weight], weight.grad
        assert gradient is not None
        is_low_rank = group["rank"] is not None and group["rank"] < min(weight.shape[-2:])
        if is_low_rank:
            if int(memory.get("step", 0)) % group["every_steps"] == 0:
                memory["projection"] = projection(gradient, group["rank"])
            gradient = memory["projection"].mT @ gradient
        if "step" not in memory:
            memory["step"] = torch.tensor(0.0)
            memory["exp_avg"], memory["exp_avg_sq"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
        memory["step"] += 1
        update = torch.zeros_like(gradient)
        beta1, beta2 = group["betas"]
        memories = memory["exp_avg"], memory["exp_avg_sq"], int(memory["step"])
        adamw_step(update, gradient, *memories, lr=1.0, beta1=beta1, beta2=beta2, eps=group["eps"])
        if is_low_rank:
            update = group["scale"] * (memory["projection"] @ update)
        weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(group["lr"] * update)
