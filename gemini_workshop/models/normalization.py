"""Keep the residual stream at a steady size.

    rms_norm(x)   = x / sqrt(mean(x^2) + eps) * weight
    layer_norm(x) = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias

Source: Zhang and Sennrich 2019, arXiv:1910.07467, equation 4; Ba et al. 2016, arXiv:1607.06450, equation 4.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.config import ModelConfig


def unit_rms(x: Float[Tensor, "*B D"], eps: float) -> Float[Tensor, "*B D"]:
    """Divide each vector by its root mean square: :func:`rms_norm` without weights."""
    wide = at_least_float32(x)
    return (wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + eps)).to(x.dtype)


def rms_norm(x: Float[Tensor, "*B D"], weight: Float[Tensor, " D"], eps: float) -> Float[Tensor, "*B D"]:
    """Divide each vector by its root mean square, then scale every channel.

    Computed in float32 at least, whatever the input's dtype, and returned in the input's dtype.

    Args:
        eps: added under the root, so that a zero vector stays zero.

    Example:
        >>> rms_norm(torch.tensor([3.0, 4.0]), torch.ones(2), eps=0.0)
        tensor([0.8485, 1.1314])
    """
    return unit_rms(x, eps) * weight


def layer_norm(
    x: Float[Tensor, "*B D"], weight: Float[Tensor, " D"], bias: Float[Tensor, " D"], eps: float
) -> Float[Tensor, "*B D"]:
    """Shift each vector to mean 0, divide by its standard deviation, then scale and shift every channel.

    Example:
        >>> layer_norm(torch.tensor([3.0, 5.0]), torch.ones(2), torch.zeros(2), eps=0.0)
        tensor([-1.,  1.])
    """
    wide = at_least_float32(x)
    return unit_rms(wide - wide.mean(dim=-1, keepdim=True), eps).to(x.dtype) * weight + bias


def at_least_float32(x: Tensor) -> Tensor:
    """The same numbers in float32, unless they are more exact already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class RMSNorm(nn.Module):
    """:func:`rms_norm` with a learned scale for each channel."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start as a norm without weights."""
        self.weight.fill_(1.0)

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Normalise the last axis."""
        return rms_norm(x, self.weight, self.eps)


class OffsetRMSNorm(RMSNorm):
    """RMSNorm whose stored weight is the distance from 1, as in Gemma 1 to 3: weight decay then pulls towards 1."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__(dim, eps)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start as a norm without weights."""
        self.weight.zero_()

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Normalise the last axis; scale in float32, then round once."""
        return rms_norm(at_least_float32(x), 1.0 + at_least_float32(self.weight), self.eps).to(x.dtype)


class LayerNorm(RMSNorm):
    """:func:`layer_norm` with a learned scale and shift for each channel, in PyTorch's kernel, three times as fast."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__(dim, eps)
        self.bias = nn.Parameter(torch.zeros(dim))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start as a norm without weights."""
        super().reset_parameters()
        self.bias.zero_()

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Normalise the last axis."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class UnitRMS(nn.Module):
    """:func:`unit_rms` as a module: a norm without weights."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Normalise the last axis."""
        return unit_rms(x, self.eps)


NORMS: dict[str, type[RMSNorm]] = {"rms": RMSNorm, "rms_offset": OffsetRMSNorm, "layer": LayerNorm}


def make_norm(config: ModelConfig, dim: int) -> RMSNorm:
    """The kind of norm that a model of this configuration uses."""
    return NORMS[config.norm](dim, config.norm_eps)
