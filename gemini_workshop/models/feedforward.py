"""The feed-forward layer: what a token does with what it gathered, each token by itself.

    plain   feed_forward(x) = activation(x up) down
    gated   feed_forward(x) = (activation(x gate) * (x up)) down

Gated with SiLU it is SwiGLU (Llama), with GELU it is GeGLU (Gemma).

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.3; gates: Shazeer 2020, arXiv:2002.05202, section 2;
squared ReLU: So et al. 2021, arXiv:2109.08668, section 3.
"""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.config import LayerConfig, ModelConfig


def relu_squared(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """``max(x, 0)`` squared."""
    return F.relu(x).square()


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


class FeedForward(nn.Module):
    """One projection up, a nonlinearity, one projection down."""

    def __init__(self, embed_dim: int, ffn_dim: int, activation: str, bias: bool = False) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.up = nn.Linear(embed_dim, ffn_dim, bias=bias)
        self.down = nn.Linear(ffn_dim, embed_dim, bias=bias)

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

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Transform each token on its own."""
        return self.down(gate_units(self.gate(x), self.up(x), self.activation))


def dense_feed_forward(config: ModelConfig, layer: LayerConfig) -> FeedForward | GatedFeedForward:
    """The feed-forward without experts that a layer of this configuration uses."""
    kind = GatedFeedForward if config.gated else FeedForward
    return kind(config.embed_dim, layer.ffn_dim, config.activation, config.feed_forward_bias)
