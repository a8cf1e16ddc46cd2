"""Lesson 02, attention: what its exercises share."""

from torch import Tensor


def normalized(positive: Tensor, dim: int) -> Tensor:
    """Positive numbers divided by their sum along an axis."""
    return positive / positive.sum(dim, keepdim=True)
