"""Figures of the project in lesson 13: where a model's parameters are, and how far the milestones have been reached."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from gemini_workshop.config import ModelConfig
from gemini_workshop.models.accounting import without_memory
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import BLUE, COLORS, GREEN, GREY, HIDDEN, ORANGE, PURPLE, label_line, text_on

KINDS = {"embedding": BLUE, "attention": GREEN, "dense and shared": PURPLE, "media": GREY}


@runtime_checkable
class Milestone(Protocol):
    """What a gate says."""

    name: str

    @property
    def is_open(self) -> bool:
        """Whether it is reached."""


def where_parameters_are(config: ModelConfig, title: str) -> Figure:
    """One bar of all parameters of a model with experts, by kind; of experts, those that a token meets and the rest."""
    assert config.moe is not None
    counts: dict[str, int] = dict.fromkeys(KINDS, 0)
    experts = 0
    for name, weight in without_memory(config).named_parameters():
        if ".experts." in name:
            experts += weight.numel()
        else:
            counts[_kind(name)] += weight.numel()
    met = experts * config.moe.experts_per_token // config.moe.num_experts
    bars = [(kind, count, KINDS[kind]) for kind, count in counts.items()]
    bars[3:3] = [("experts that a token meets", met, ORANGE), ("idle experts", experts - met, HIDDEN)]
    figure, axes = plt.subplots(figsize=(7.5, 3.2))
    for row, (_, count, color) in enumerate(bars):
        axes.barh(row, count / 1e6, color=color, height=0.65)
        axes.annotate(f"{count / 1e6:.2f}", (count / 1e6, row), xytext=(5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    axes.set(xlabel="parameters (millions)", title=title, xlim=(0, 1.15 * max(count for _, count, _ in bars) / 1e6))
    axes.invert_yaxis()
    return describe(figure, f"A bar for each of {', '.join(name for name, _, _ in bars)}.")


def task_curves(curves: Mapping[str, Sequence[float]], steps: int, title: str) -> Figure:
    """The held-out loss of each task, measured at equal distances from step 0 to the last."""
    figure, axes = plt.subplots(figsize=(7.5, 3.6))
    for (name, losses), color in zip(curves.items(), COLORS, strict=False):
        places = [steps * i / (len(losses) - 1) for i in range(len(losses))]
        axes.plot(places, losses, color=color, marker="o")
        label_line(axes, places[-1], losses[-1], name, color)
    axes.set(
        xlabel="step", ylabel="held-out loss (nats per token)", title=title, xlim=(0, 1.25 * steps), ylim=(0, None)
    )
    axes.set_xticks([round(steps * i / 4) for i in range(5)])
    return describe(figure, f"A falling line for each of {', '.join(curves)}.")


def _kind(name: str) -> str:
    """What a parameter belongs to; the norms of a block count with its attention."""
    if name.startswith("media_embedder."):
        return "media"
    if name == "embedding.weight":
        return "embedding"
    return "dense and shared" if ".feed_forward." in name else "attention"


def milestones(gates: Sequence[Milestone], title: str) -> Figure:
    """The milestones side by side: those that are reached are filled."""
    figure, axes = plt.subplots(figsize=(8.5, 1.5))
    for place, gate in enumerate(gates):
        color = GREEN if gate.is_open else HIDDEN
        axes.barh(0, 0.94, left=place, color=color, height=0.8)
        axes.text(place + 0.47, 0, gate.name, ha="center", va="center", color=text_on(color), size=9)
    num_open = sum(gate.is_open for gate in gates)
    axes.set(xlim=(0, len(gates)), xticks=[], yticks=[], title=f"{title}, {num_open} of them open")
    axes.spines[:].set_visible(False)
    return describe(figure, f"A field for each of {', '.join(gate.name for gate in gates)}; filled if it is reached.")
