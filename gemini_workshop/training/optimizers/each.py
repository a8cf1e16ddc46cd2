"""The loop that every optimizer has: over all parameters that have a gradient. What happens to each is its own idea."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class EachParameter(torch.optim.Optimizer):
    """An optimizer that moves each parameter on its own: a subclass defines :meth:`move`."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.move(weight, weight.grad, self.state[weight], group)

    def move(self, weight: Tensor, gradient: Tensor, state: dict[str, Any], options: dict[str, Any]) -> None:
        """Change a parameter in place.

        Args:
            state: what is kept of this parameter from step to step; empty at first.
            options: those of its group, such as ``lr``.
        """
        raise NotImplementedError
