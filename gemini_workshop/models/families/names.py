"""Where our tensors are in published files: under which names, and in which layout.

A :class:`WeightName` is one entry, and a family has a list of them. Several entries may be about the same tensors:
files are written by the first and read by the first that fits. Released files hold each expert by itself; models in
memory hold them stacked.

Source: the modeling files and conversion_mapping.py of transformers 5.23.0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Tensors = list[Tensor]


@dataclass(frozen=True)
class Layout:
    """How some of their tensors become ours, and back."""

    to_ours: Callable[[Tensors], Tensors]
    to_theirs: Callable[[Tensors], Tensors]


def interleave(halves: Tensor) -> Tensor:
    """Alternate the rows of two halves: (E, 2 F, ...) from gate before up to gate 0, up 0, gate 1, up 1, ..."""
    return torch.stack(halves.chunk(2, dim=1), dim=2).flatten(1, 2)


def deinterleave(rows: Tensor) -> Tensor:
    """The inverse of :func:`interleave`."""
    return torch.cat([rows[:, 0::2], rows[:, 1::2]], dim=1)


SAME = Layout(lambda theirs: theirs, lambda ours: ours)
TRANSPOSED = Layout(lambda theirs: [x.mT for x in theirs], lambda ours: [x.mT for x in ours])
# Queries, keys and values in one matrix.
FUSED = Layout(lambda theirs: list(theirs[0].chunk(3)), lambda ours: [torch.cat(ours)])
FUSED_TRANSPOSED = Layout(lambda theirs: list(theirs[0].mT.chunk(3)), lambda ours: [torch.cat(ours).mT])
# One matrix per expert; of gate and up in turn: gate 0, up 0, gate 1, up 1, ...
EXPERTS = Layout(lambda theirs: [torch.stack(theirs)], lambda ours: list(ours[0]))
EXPERT_PAIRS = Layout(
    lambda theirs: [torch.stack([torch.cat(pair) for pair in zip(theirs[0::2], theirs[1::2], strict=True)])],
    lambda ours: [half for expert in ours[0] for half in expert.chunk(2)],
)
INTERLEAVED = Layout(lambda theirs: [deinterleave(theirs[0])], lambda ours: [interleave(ours[0])])
INTERLEAVED_TRANSPOSED = Layout(lambda theirs: [deinterleave(theirs[0].mT)], lambda ours: [interleave(ours[0]).mT])


@dataclass(frozen=True)
class WeightName:
    """Our names and theirs for the same numbers. ``{i}`` is the number of a layer, ``{e}`` of an expert.

    Args:
        keeps_float32: read in float32 at least, whatever format the model gets.
    """

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    layout: Layout = SAME
    keeps_float32: bool = False

    def of_layer(self, i: int, num_experts: int) -> "WeightName":
        """The names in one layer, experts written out."""
        theirs = (
            name.replace("{i}", str(i)).replace("{e}", str(e))
            for e in (range(num_experts) if "{e}" in self.theirs[0] else (0,))
            for name in self.theirs
        )
        ours = tuple(name.replace("{i}", str(i)) for name in self.ours)
        return WeightName(ours, tuple(theirs), self.layout, self.keeps_float32)


def renamed(names: dict[str, str], layout: Layout = SAME) -> list[WeightName]:
    """Tensors that differ in their names, ours to theirs, and all in the same layout."""
    return [WeightName((ours,), (theirs,), layout) for ours, theirs in names.items()]


def in_layers(names: dict[str, str], layout: Layout = SAME) -> list[WeightName]:
    """The same for tensors of each layer."""
    return renamed({f"blocks.{{i}}.{ours}": f"model.layers.{{i}}.{theirs}" for ours, theirs in names.items()}, layout)


def weight_and_bias(names: dict[str, str], ours: str, theirs: str) -> dict[str, str]:
    """Names of the modules in one of ours and one of theirs, to the names of their tensors.

    Example:
        >>> weight_and_bias({"up": "c_fc"}, "feed_forward", "mlp")
        {'feed_forward.up.weight': 'mlp.c_fc.weight', 'feed_forward.up.bias': 'mlp.c_fc.bias'}
    """
    return {f"{ours}.{a}.{kind}": f"{theirs}.{b}.{kind}" for a, b in names.items() for kind in ("weight", "bias")}


def stacked_experts(ours: str, theirs: str) -> list[WeightName]:
    """Experts as a model of transformers 5 holds them in memory, and as Gemma 4 is released."""
    return in_layers({f"{ours}.gate_up": f"{theirs}.gate_up_proj", f"{ours}.down": f"{theirs}.down_proj"})


def single_experts(theirs: str, gate: str, up: str, down: str) -> list[WeightName]:
    """Experts as most models are released: three matrices each."""
    ours, names = "blocks.{i}.feed_forward.experts.", "model.layers.{i}." + theirs + ".{e}."
    return [
        WeightName((ours + "gate_up",), (f"{names}{gate}.weight", f"{names}{up}.weight"), EXPERT_PAIRS),
        WeightName((ours + "down",), (f"{names}{down}.weight",), EXPERTS),
    ]


# What several families have. Norms of queries and keys:
QK_NORMS = in_layers(
    {"attention.query_norm.weight": "self_attn.q_norm.weight", "attention.key_norm.weight": "self_attn.k_norm.weight"}
)
# Experts in place of the feed-forward:
ROUTER_AND_EXPERTS = [
    *single_experts("mlp.experts", "gate_proj", "up_proj", "down_proj"),
    *stacked_experts("feed_forward.experts", "mlp.experts"),
    *in_layers({"feed_forward.router.weight": "mlp.gate.weight"}),
]
