"""LoRA: train two thin matrices beside each large one, which stays as it is.

    y = x W^T + scale · (x A^T) B^T        A: r x D,  B: E x r,  r far below D and E

B begins as zeros, so the model begins as it was; A begins at random, or nothing would have a gradient. Merged,
W + scale · B A is one matrix again, and costs nothing at inference.

Source: Hu et al. 2021, arXiv:2106.09685, section 4.1, equation 3, with scale = alpha / r.
"""

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.errors import ConfigError

A, B = "lora_a", "lora_b"


def lora_forward(
    x: Float[Tensor, "*B D"],
    weight: Float[Tensor, "E D"],
    a: Float[Tensor, "R D"],
    b: Float[Tensor, "E R"],
    scale: float,
) -> Float[Tensor, "*B E"]:
    """A linear layer with an update of low rank beside it. The update is never written out as a matrix.

    Example:
        >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0], [2.0]])
        >>> lora_forward(torch.tensor([[3.0, 4.0]]), torch.eye(2), a, b, scale=0.5)  # 3, and 4 + 0.5 · 2 · 3
        tensor([[3., 7.]])
    """
    return F.linear(x, weight) + scale * F.linear(F.linear(x, a), b)


class LoRALinear(nn.Linear):
    """A linear layer whose weight is frozen, with an update of rank r that is trained."""

    lora_a: nn.Parameter
    lora_b: nn.Parameter
    lora_scale: float

    def forward(self, input: Float[Tensor, "*B D"]) -> Float[Tensor, "*B E"]:
        """:func:`lora_forward`, plus the bias."""
        result = lora_forward(input, self.weight, self.lora_a, self.lora_b, self.lora_scale)
        return result if self.bias is None else result + self.bias


def add_lora(
    model: nn.Module, rank: int, alpha: float, generator: torch.Generator | None = None, targets: str = r"blocks\."
) -> list[str]:
    """Freeze a model, and give its linear layers an update of low rank, in place.

    Args:
        alpha: the updates are multiplied by alpha / rank, so that the learning rate need not change with the rank.
        targets: a regular expression; the layers whose names begin with a match.

    Returns:
        The names of the layers.

    Raises:
        ConfigError: no layer matches, or the rank is not between 1 and the smaller side of each layer's matrix.
    """
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and not isinstance(layer, LoRALinear) and re.match(targets, name)
    }
    if not layers:
        raise ConfigError(f"No linear layer has a name that begins with {targets!r}. The blocks' begin with 'blocks.'.")
    widest = min(min(layer.weight.shape) for layer in layers.values())
    if not 1 <= rank <= widest:
        raise ConfigError(
            f"rank={rank} is outside 1 to {widest}, the smaller side of the smallest matrix. Choose 4 to 16."
        )
    model.requires_grad_(False)
    for layer in layers.values():
        E, D = layer.weight.shape
        layer.__class__ = LoRALinear  # the same weight and name, another forward
        assert isinstance(layer, LoRALinear)
        drawn = torch.randn(rank, D, generator=generator) / D**0.5
        layer.lora_a = nn.Parameter(drawn.to(layer.weight))
        layer.lora_b = nn.Parameter(layer.weight.new_zeros(E, rank))
        layer.lora_scale = alpha / rank
    return list(layers)


def has_lora(weights: Mapping[str, Tensor]) -> bool:
    """Whether these are the weights of a model with updates beside its matrices."""
    return any(name.endswith(f".{A}") for name in weights)


def merge_lora(weights: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """The weights with each update added to its matrix: those of a model without LoRA, with the same results.

    Args:
        alpha: as in :func:`add_lora`.
    """
    merged = {name: weight for name, weight in weights.items() if not name.endswith((f".{A}", f".{B}"))}
    for name in weights:
        if name.endswith(f".{A}"):
            layer = name.removesuffix(f".{A}")
            a, b = (weights[f"{layer}.{part}"].double() for part in (A, B))
            weight = weights[f"{layer}.weight"]
            merged[f"{layer}.weight"] = (weight.double() + alpha / len(a) * (b @ a)).to(weight.dtype)
    return merged
