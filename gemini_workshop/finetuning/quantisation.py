"""Weights in 8 or 4 bits: whole numbers, and one scale for each group of neighbours in a row.

    scale = largest |w| of the group / (2^(bits-1) - 1)        q = round(w / scale)        w ≈ scale · q

A group shares one scale, so one large weight makes its neighbours coarse, and nobody else. 4 bits in groups of 32, with
a scale of 16 bits each, take 4.5 bits per weight.

Source: Dettmers et al. 2022, arXiv:2208.07339, section 2; groups: Frantar et al. 2022, arXiv:2210.17323, section 4.
"""

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from gemini_workshop.errors import ConfigError


def quantise_by_groups(
    weight: Float[Tensor, "E D"], bits: int, group_size: int
) -> tuple[Int8[Tensor, "E D"], Float[Tensor, "E groups"]]:
    """Whole numbers between -(2^(bits-1) - 1) and 2^(bits-1) - 1, and the scale of each group.

    Args:
        bits: from 2 to 8.
        group_size: neighbours in a row that share a scale; it divides the length of the rows.

    Raises:
        ConfigError: it does not, or there are no such bits.

    Example:
        >>> quantise_by_groups(torch.tensor([[7.0, -3.4, 0.1, 0.2]]), bits=4, group_size=2)
        (tensor([[ 7, -3,  4,  7]], dtype=torch.int8), tensor([[1.0000, 0.0286]]))
    """
    D = weight.shape[-1]
    if not 2 <= bits <= 8:
        raise ConfigError(f"bits={bits} is outside 2 to 8.")
    if group_size < 1 or D % group_size:
        raise ConfigError(f"group_size={group_size} does not divide the rows of {D} weights. Choose a divisor of {D}.")
    most = 2 ** (bits - 1) - 1
    groups = weight.unflatten(-1, (-1, group_size))
    scale = groups.abs().amax(dim=-1) / most
    whole = (groups / scale.clamp(min=torch.finfo(weight.dtype).tiny).unsqueeze(-1)).round().clamp(-most, most)
    return whole.to(torch.int8).flatten(-2), scale


def dequantise(whole: Int8[Tensor, "E D"], scale: Float[Tensor, "E groups"]) -> Float[Tensor, "E D"]:
    """The weights again, each within half a scale of what it was."""
    return (whole.unflatten(-1, (scale.shape[-1], -1)) * scale.unsqueeze(-1)).flatten(-2)
