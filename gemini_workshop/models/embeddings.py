"""Rotary positions: turn each pair of channels by an angle that grows with the position.

    (x1, x2) at position t  ->  (x1 cos a - x2 sin a,  x2 cos a + x1 sin a)
    where a = t * base^(-2i/C) for pair i

A query and a key that were both turned meet at the *difference* of their angles, so their score depends on
how far apart they are and not on where they stand.

Source: Su et al. 2021, arXiv:2104.09864, section 3.2.
Differs: pair i is channels (i, i + C/2), as in Llama and Gemma, not (2i, 2i + 1) as in the paper.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def rotary_frequencies(head_dim: int, base: float) -> Float[Tensor, " pairs"]:
    """Radians by which each pair of channels turns from one token to the next, fastest pair first.

    Example:
        >>> rotary_frequencies(head_dim=4, base=100.0)
        tensor([1.0000, 0.1000])
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
    return base**-exponents


def rotary_cos_sin(
    positions: Int[Tensor, " T"], frequencies: Float[Tensor, " pairs"]
) -> tuple[Float[Tensor, "T pairs"], Float[Tensor, "T pairs"]]:
    """Cosine and sine of the angle of every position and pair, shared by all layers and heads."""
    angles = torch.outer(positions.to(frequencies.dtype), frequencies)
    return angles.cos(), angles.sin()


def apply_rotary(
    x: Float[Tensor, "*B T C"], cos: Float[Tensor, "T C/2"], sin: Float[Tensor, "T C/2"]
) -> Float[Tensor, "*B T C"]:
    """Turn the channel pairs (i, i + C/2) of each token by the angle of its position; lengths are kept."""
    first, second = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
