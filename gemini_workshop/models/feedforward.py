"""The feed-forward layer: what a token does with what it gathered, each token by itself.

    plain   feed_forward(x) = activation(x up) down
    gated   feed_forward(x) = (activation(x gate) * (x up)) down

Gated with SiLU it is SwiGLU (Llama), with GELU it is GeGLU (Gemma).

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.3; gates: Shazeer 2020, arXiv:2002.05202, section 2; GELU:
Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2; squared ReLU: So et al. 2021, arXiv:2109.08668, section 3.
Differs: models run PyTorch's own GELU, the same numbers in one kernel.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.config import LayerConfig, ModelConfig
from gemini_workshop.models.initialization import draw_linear

CLAMPED_SWISH = "clamped_swish"
SWISH_SLOPE, CLAMP = 1.702, 7.0


def gelu(x: Float[Tensor, "..."], approximate: Literal["none", "tanh"] = "none") -> Float[Tensor, "..."]:
    """Let each number through in the proportion in which standard normal numbers are smaller.

    Args:
        approximate: "tanh" replaces the normal distribution by a formula that early hardware computed faster.

    Example:
        >>> gelu(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.1587,  0.0000,  0.8413])
    """
    if approximate == "tanh":
        share = 0.5 * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    else:
        share = 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))
    return x * share


def relu_squared(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """``max(x, 0)`` squared."""
    return F.relu(x).square()


def swish(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """``x * sigmoid(1.702 x)``: nearly GELU."""
    return x * torch.sigmoid(SWISH_SLOPE * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu_squared": relu_squared,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
}


def gate_units(
    gate: Float[Tensor, "*B F"], up: Float[Tensor, "*B F"], activation: Callable[[Tensor], Tensor]
) -> Float[Tensor, "*B F"]:
    """Let one projection decide how much of the other passes, unit by unit."""
    return activation(gate) * up


def gate_halves(projected: Float[Tensor, "*B FF"], activation: str) -> Float[Tensor, "*B F"]:
    """:func:`gate_units` of the first half of the channels, which gates, and the second.

    Args:
        activation: one of :data:`ACTIVATIONS`, or ``clamped_swish``, which is gpt-oss's: both halves are bounded,
            and one is added to the second.
    """
    gate, up = halves(projected, activation)
    return gate_units(gate, up, swish if activation == CLAMPED_SWISH else ACTIVATIONS[activation])


def halves(projected: Float[Tensor, "*B FF"], activation: str) -> tuple[Float[Tensor, "*B F"], Float[Tensor, "*B F"]]:
    """What gates and what is gated; bounded, if the activation is ``clamped_swish``."""
    gate, up = projected.chunk(2, dim=-1)
    if activation == CLAMPED_SWISH:
        return gate.clamp(max=CLAMP), up.clamp(-CLAMP, CLAMP) + 1
    return gate, up


def gated_ffn_dim(ffn_dim: int, multiple_of: int = 1) -> int:
    """The width at which a gated layer has as many parameters as a plain one of width ``ffn_dim``: two thirds of it.

    Three matrices share what two had. Biases are not counted.

    Args:
        multiple_of: round to the nearest multiple of this; hardware likes round widths.

    Example:
        >>> gated_ffn_dim(768), gated_ffn_dim(1000, multiple_of=64)
        (512, 640)
    """
    return round(2 * ffn_dim / (3 * multiple_of)) * multiple_of


class FeedForward(nn.Module):
    """One projection up, a nonlinearity, one projection down."""

    def __init__(self, embed_dim: int, ffn_dim: int, activation: str, bias: bool = False) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.up = nn.Linear(embed_dim, ffn_dim, bias=bias)
        self.down = nn.Linear(ffn_dim, embed_dim, bias=bias)

    def reset_parameters(self, generator: torch.Generator | None = None, *, is_silent: bool = False) -> None:
        """Draw the weights again; those of the last layer are zero, if the layer starts silent."""
        draw_linear(self.up, generator)
        draw_linear(self.down, generator, is_silent=is_silent)

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Transform each token on its own."""
        return self.down(self.activation(self.up(x)))


class GatedFeedForward(nn.Module):
    """Two projections up, a gate, one projection down."""

    def __init__(self, embed_dim: int, ffn_dim: int, activation: str, bias: bool = False) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.gate = nn.Linear(embed_dim, ffn_dim, bias=bias)
        self.up = nn.Linear(embed_dim, ffn_dim, bias=bias)
        self.down = nn.Linear(ffn_dim, embed_dim, bias=bias)

    def reset_parameters(self, generator: torch.Generator | None = None, *, is_silent: bool = False) -> None:
        """Draw the weights again; those of the last layer are zero, if the layer starts silent."""
        draw_linear(self.gate, generator)
        draw_linear(self.up, generator)
        draw_linear(self.down, generator, is_silent=is_silent)

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Transform each token on its own."""
        gate, up = self.project(x)
        return self.down(gate_units(gate, up, self.activation))

    def project(self, x: Float[Tensor, "*B D"]) -> tuple[Float[Tensor, "*B F"], Float[Tensor, "*B F"]]:
        """The gate, and what it lets through."""
        return self.gate(x), self.up(x)


def dense_feed_forward(config: ModelConfig, layer: LayerConfig) -> FeedForward | GatedFeedForward:
    """The feed-forward without experts that a layer of this configuration uses."""
    kind = GatedFeedForward if config.gated else FeedForward
    return kind(config.embed_dim, layer.ffn_dim, config.activation, config.feed_forward_bias)
