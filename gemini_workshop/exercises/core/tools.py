"""What the exercises of several lessons share: small ways to draw, to find what differs and to write it down."""

from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import number, same


def drawing(generator: torch.Generator, scale: float = 1.0) -> Callable[..., Tensor]:
    """A function that draws a tensor of normal random numbers of the shape it is given."""
    return lambda *shape: scale * torch.randn(*shape, generator=generator)


def vector(values: Tensor) -> str:
    """A vector as a person would write it: "(1, -0.5)"."""
    return f"({', '.join(number(value) for value in values.flatten())})"


def first_wrong_row(inputs: Tensor, got: Tensor, expected: Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
    """The first entry whose row came out wrong: the entry of ``inputs``, the row, and the row that is needed.

    Args:
        inputs: one entry (a number or a row) for each row of the results.
    """
    entries = inputs.flatten() if inputs.ndim < got.ndim else inputs.flatten(0, -2)
    rows = zip(entries, got.flatten(0, -2), expected.flatten(0, -2), strict=True)
    return next((found for found in rows if not same(found[1], found[2])), None)
