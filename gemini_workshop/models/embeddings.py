"""Positions: how a model knows the order of its tokens.

Rotary positions turn each pair of channels by an angle that grows with the position:

    (x1, x2) at position t  ->  (x1 cos a - x2 sin a,  x2 cos a + x1 sin a)
    where a = t * base^(-2i/C) for pair i

A query and a key that were both turned meet at the *difference* of their angles, so their score depends on
how far apart they are and not on where they stand.

Source: Su et al. 2021, arXiv:2104.09864, section 3.2; sinusoids: Vaswani et al. 2017, arXiv:1706.03762, section 3.5;
ALiBi: Press et al. 2021, arXiv:2108.12409, section 3. How rotary positions are stretched: :mod:`.rotary_scaling`.
Differs: pair i is channels (i, i + C/2), as in transformers' Llama and Gemma, not (2i, 2i + 1) as in the paper;
:func:`apply_rotary_interleaved` is the paper's layout.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.models.initialization import EMBEDDING_STD, draw


def rotary_frequencies(head_dim: int, base: float) -> Float[Tensor, " pairs"]:
    """Radians by which each pair of channels turns from one token to the next, fastest pair first.

    Example:
        >>> rotary_frequencies(head_dim=4, base=100.0)
        tensor([1.0000, 0.1000])
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim
    return 1.0 / base**exponents


def rotary_cos_sin(
    positions: Int[Tensor, "*B T"], frequencies: Float[Tensor, " pairs"]
) -> tuple[Float[Tensor, "*B T pairs"], Float[Tensor, "*B T pairs"]]:
    """Cosine and sine of the angle of every position and pair, shared by all layers and heads.

    Angles are computed in float32 at least: in bfloat16 the positions 256 and 257 are one and the same.
    """
    wide = torch.promote_types(frequencies.dtype, torch.float32)
    angles = positions.unsqueeze(-1).to(wide) * frequencies.to(wide)
    return angles.cos(), angles.sin()


def apply_rotary(
    x: Float[Tensor, "*B T C"], cos: Float[Tensor, "*#B T C/2"], sin: Float[Tensor, "*#B T C/2"]
) -> Float[Tensor, "*B T C"]:
    """Turn the channel pairs (i, i + C/2) of each token by the angle of its position; lengths are kept."""
    first, second = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def apply_rotary_interleaved(
    x: Float[Tensor, "*B T C"], cos: Float[Tensor, "*#B T C/2"], sin: Float[Tensor, "*#B T C/2"]
) -> Float[Tensor, "*B T C"]:
    """Turn the channel pairs (2i, 2i + 1): the same rotation with the channels in another order."""
    first, second = x[..., 0::2], x[..., 1::2]
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.stack([first * cos - second * sin, second * cos + first * sin], dim=-1).flatten(-2)


class Rotation(NamedTuple):
    """Cosine and sine of each token's angles, and which channels form a pair."""

    cos: Float[Tensor, "*B T pairs"]
    sin: Float[Tensor, "*B T pairs"]
    layout: str


def rotate(x: Float[Tensor, "B H T C"], rotation: Rotation | None) -> Float[Tensor, "B H T C"]:
    """Turn as many leading channels as there are angles for; the others carry no position."""
    if rotation is None:
        return x
    apply = apply_rotary if rotation.layout == "half" else apply_rotary_interleaved
    rotary_channels = 2 * rotation.cos.shape[-1]
    if rotary_channels == x.shape[-1]:
        return apply(x, rotation.cos, rotation.sin)
    rotated = apply(x[..., :rotary_channels], rotation.cos, rotation.sin)
    return torch.cat([rotated, x[..., rotary_channels:]], dim=-1)


def sinusoidal_positions(positions: Int[Tensor, "*B T"], embed_dim: int) -> Float[Tensor, "*B T D"]:
    """A vector for each position, to be added to the token's: sines and cosines of ever slower waves.

    Example:
        >>> sinusoidal_positions(torch.tensor([0]), embed_dim=4)
        tensor([[0., 1., 0., 1.]])
    """
    cos, sin = rotary_cos_sin(positions, rotary_frequencies(embed_dim, base=10_000.0).to(positions.device))
    return torch.stack([sin, cos], dim=-1).flatten(-2)


class TokenEmbedding(nn.Embedding):
    """A vector for each token of the vocabulary."""

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the vectors again, small."""
        draw(self.weight, EMBEDDING_STD, generator)

    def logits(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B V"]:
        """How well each token's vector matches: the scores of a head that shares its weights with the embedding."""
        return F.linear(x, self.weight)


class LearnedPositionalEmbedding(nn.Module):
    """A vector for each position, to be added to the token's, learned as token embeddings are (GPT-2).

    The table ends somewhere: a position past its end is an IndexError.

    Args:
        generator: where the initial vectors are drawn from, with a spread of 0.02.
    """

    def __init__(self, num_positions: int, embed_dim: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(num_positions, embed_dim, generator=generator))

    def forward(self, positions: Int[Tensor, "*B T"]) -> Float[Tensor, "*B T D"]:
        """The vectors of these positions."""
        return self.weight[positions]


def alibi_slopes(num_heads: int) -> Float[Tensor, " H"]:
    """How much a head's scores fall with each token of distance: ALiBi's geometric series.

    For a number of heads that is not a power of two, the series of the next lower power is filled up with every
    other member of the next higher one, as the authors do.

    Example:
        >>> alibi_slopes(4)
        tensor([0.2500, 0.0625, 0.0156, 0.0039])
    """
    lower = 2 ** math.floor(math.log2(num_heads))
    series = [2 ** (-8 * i / lower) for i in range(1, lower + 1)]
    between = [2 ** (-8 * i / (2 * lower)) for i in range(1, 2 * lower, 2)]
    return torch.tensor((series + between)[:num_heads])


def segment_positions(segment_ids: Int[Tensor, "B S"]) -> Int[Tensor, "B S"]:
    """Position of each token within its own segment, where a segment is a run of equal ids.

    Example:
        >>> segment_positions(torch.tensor([[0, 0, 1, 1, 1]]))
        tensor([[0, 1, 0, 1, 2]])
    """
    index = torch.arange(segment_ids.shape[1], device=segment_ids.device)
    is_first = torch.ones_like(segment_ids, dtype=torch.bool)
    is_first[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    return index - (index * is_first).cummax(dim=1).values
