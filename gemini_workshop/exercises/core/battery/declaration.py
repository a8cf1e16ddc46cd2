"""What an exercise says about the battery: where it asks for more than of every answer, or for less and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


class Call:
    """A call with arguments by position and by name, in which dtype and device of the result count."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self.args, self.named = args, named

    def of(self, function: Callable[..., Any]) -> Any:
        """The result of this call of a function."""
        return function(*self.args, **self.named)


@dataclass(frozen=True, kw_only=True)
class Battery:
    """Every field has a default that suits most exercises.

    Args:
        gradients: whether they are asked for at all; False where nobody ever trains through it, as in sampling.
        untrained: why no later cell trains through the function. An answer that leaves PyTorch on its way (by NumPy,
            or number by number) is then right; one that cuts the gradient inside PyTorch is not.
        constants: arguments by which nobody differentiates, such as angles.
        kinds: calls whose result needs the dtype and the device that the text promises; asked of the reference too.
        dtypes: what floating-point inputs, and a module's parameters, may be turned into, and the result then is.
        beyond: cases far larger than the examples, or with other batch axes.
        by_name: arguments that later cells pass by name; those with defaults always count among them.
        reads: attributes of a module that later cells read, such as "query.weight".
    """

    gradients: bool = True
    untrained: str = ""
    constants: tuple[str, ...] = ()
    kinds: Callable[[], list[Call]] = list
    dtypes: tuple[torch.dtype, ...] = ()
    beyond: Callable[[torch.Generator], list[tuple[Any, ...]]] = lambda _: []
    by_name: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
