"""The gated feed-forward layer: what a token does with what it gathered, each token by itself.

    feed_forward(x) = (activation(x gate) * (x up)) down

With SiLU as the activation this is SwiGLU (Llama), with GELU it is GeGLU (Gemma).

Source: Shazeer 2020, arXiv:2002.05202, section 2.
"""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.config import ModelConfig

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
}


def gate_units(
    gate: Float[Tensor, "*B F"], up: Float[Tensor, "*B F"], activation: Callable[[Tensor], Tensor]
) -> Float[Tensor, "*B F"]:
    """Let one projection decide how much of the other passes, unit by unit."""
    return activation(gate) * up


class GatedFeedForward(nn.Module):
    """Two projections up, a gate, one projection down; no biases."""

    def __init__(self, embed_dim: int, ffn_dim: int, activation: str) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.gate = nn.Linear(embed_dim, ffn_dim, bias=False)
        self.up = nn.Linear(embed_dim, ffn_dim, bias=False)
        self.down = nn.Linear(ffn_dim, embed_dim, bias=False)

    @classmethod
    def from_config(cls, config: ModelConfig) -> "GatedFeedForward":
        """The layer that a model of this configuration uses."""
        return cls(config.embed_dim, config.ffn_dim, config.activation)

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Transform each token on its own."""
        return self.down(gate_units(self.gate(x), self.up(x), self.activation))
