"""Keep the residual stream at a steady size.

    rms_norm(x) = x / sqrt(mean(x^2) + eps) * weight

Source: Zhang and Sennrich 2019, arXiv:1910.07467, equation 4.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def rms_norm(x: Float[Tensor, "*B D"], weight: Float[Tensor, " D"], eps: float) -> Float[Tensor, "*B D"]:
    """Divide each vector by its root mean square, then scale every channel.

    Computed in float32 at least, whatever the input's dtype, and returned in the input's dtype.

    Args:
        eps: added under the root, so that a zero vector stays zero.

    Example:
        >>> rms_norm(torch.tensor([3.0, 4.0]), torch.ones(2), eps=0.0)
        tensor([0.8485, 1.1314])
    """
    wide = x if x.dtype == torch.float64 else x.float()
    mean_square = wide.square().mean(dim=-1, keepdim=True)
    return (wide * torch.rsqrt(mean_square + eps)).to(x.dtype) * weight


class RMSNorm(nn.Module):
    """:func:`rms_norm` with a learned scale for each channel."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Normalise the last axis."""
        return rms_norm(x, self.weight, self.eps)
