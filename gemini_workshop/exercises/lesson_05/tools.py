"""Lesson 05, feed-forward networks: what its exercises share."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.core.exercise import Arguments, Function
from gemini_workshop.exercises.core.modules import Build
from gemini_workshop.exercises.core.tools import drawing


def gelu_of_one(x: float) -> float:
    """GELU of one number, by the normal distribution."""
    return x * NormalDist().cdf(x)


def gelu_tanh_of_one(x: float) -> float:
    """The tanh form of GELU of one number."""
    return 0.5 * x * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


CURVES: dict[str, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "gelu": gelu_of_one,
    "gelu_tanh": gelu_tanh_of_one,
    "silu": lambda x: x / (1.0 + math.exp(-x)),
}


def layer_cases(generator: torch.Generator) -> list[Arguments]:
    """Layers and inputs for both feed-forward networks."""
    draw = drawing(generator, scale=2.0)
    return [
        (Build(embed_dim=3, ffn_dim=5, activation="relu"), draw(2, 3)),
        (Build(embed_dim=4, ffn_dim=7, activation="gelu"), draw(2, 5, 4)),
        (Build(embed_dim=3, ffn_dim=8, activation="silu"), draw(4, 3)),
        (Build(embed_dim=5, ffn_dim=6, activation="relu", bias=True), draw(3, 5)),
        (Build(embed_dim=5, ffn_dim=9, activation="gelu_tanh"), draw(4, 5)),
    ]


def layer_cases_beyond(generator: torch.Generator) -> list[Arguments]:
    """A wide layer, and inputs with other batch axes."""
    draw = drawing(generator)
    return [
        (Build(embed_dim=40, ffn_dim=150, activation="silu"), draw(130, 40)),
        (Build(embed_dim=3, ffn_dim=5, activation="relu"), draw(2, 1, 4, 3)),
        (Build(embed_dim=3, ffn_dim=5, activation="gelu"), draw(3)),
    ]


def project(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """One matrix, one output channel at a time, in float64."""
    rows, bias = weights[f"{name}.weight"].double(), weights.get(f"{name}.bias")
    out = torch.stack([(x * row).sum(-1) for row in rows], dim=-1)
    return out if bias is None else out + bias.double()


def told(layer: type[nn.Module], **instead: Function) -> type[nn.Module]:
    """A layer that is told something else than was asked for: what becomes of each of these arguments."""

    def build(self: Any, **arguments: Any) -> None:
        layer.__init__(self, **arguments | {name: change(arguments.get(name)) for name, change in instead.items()})

    return type(layer.__name__, (layer,), {"__init__": build})
