"""Figures about recurrence: what a state holds, how far gradients reach, what is recalled, what waits for what."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gemini_workshop.visualization.attention import visible_token
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import (
    BLUE,
    COLORS,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SIGNED,
    SKY,
    ink,
    label_line,
)

KINDS = {"RNN": RED, "LSTM": ORANGE, "attention": BLUE}  # one color each, in all figures
OTHERS = (BLUE, ORANGE, GREEN, PURPLE, SKY)


def states(states: Sequence[Float[Tensor, "T R"]], tokens: Sequence[Sequence[str]]) -> Figure:
    """The state after each token of several texts: one row per unit, one column per token."""
    figure, axes = plt.subplots(1, len(states), figsize=(8, 3.6), sharey=True)
    for i, (one, names) in enumerate(zip(states, tokens, strict=True)):
        image = axes[i].imshow(one.T.numpy(), vmin=-1, vmax=1, cmap=SIGNED, aspect="auto")
        axes[i].set_xticks(range(len(names)), [visible_token(name) for name in names], rotation=45, family="monospace")
        axes[i].set(xlabel="after reading")
    axes[0].set(ylabel="unit of the state", title="Same words, different order: different state")
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("value")
    bar.outline.set_visible(False)
    texts = "; ".join(" ".join(names) for names in tokens)
    return describe(figure, f"A map for each text, one row per unit, one column per token: {texts}.")


def _leave_room(axes: Axes, num_steps: int, room: float) -> None:
    """End the axis with the data, and keep a fraction of its length free for the names of the lines."""
    axes.set(xlim=(0, (1 + room) * num_steps), xticks=range(0, num_steps + 1, 10))
    axes.spines["bottom"].set_bounds(0, num_steps)


def pulse(curves: Mapping[str, Float[Tensor, " T"]], title: str) -> Figure:
    """The state of one unit, step by step, after a single pulse at step 0."""
    figure, axes = plt.subplots(figsize=(7.5, 3.4))
    for (name, curve), color in zip(curves.items(), COLORS, strict=False):
        axes.plot(curve.numpy(), color=color)
        label_line(axes, len(curve) - 1.0, float(curve[-1]), name, color)
    axes.set(xlabel="steps after the pulse", ylabel="state", ylim=(-0.05, 1.05), title=title)
    _leave_room(axes, len(curve), 0.3)
    return figure


def gradients(
    curves: Mapping[str, Float[Tensor, " T"]], bounds: Mapping[str, Float[Tensor, " T"]], title: str, dotted: str = ""
) -> Figure:
    """Gradient norms by distance on a logarithmic axis; a bound of the same name is drawn dotted.

    Args:
        dotted: what the dotted lines are.
    """
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    gradient_lines(axes, curves, bounds)
    axes.set(ylabel="gradient norm", title=title)
    if dotted:
        low, high = axes.get_ylim()
        axes.set_ylim(low * (low / high) ** 0.12, high)  # room below the curves
        axes.text(0.02, 0.03, f"dotted: {dotted}", transform=axes.transAxes, size=10, color=ink(GREY))
    return figure


def gradient_lines(
    axes: Axes, curves: Mapping[str, Float[Tensor, " T"]], bounds: Mapping[str, Float[Tensor, " T"]]
) -> None:
    """Draw gradient norms by distance into a figure's axes."""
    for (name, norms), other in zip(curves.items(), OTHERS, strict=False):
        color = KINDS.get(name, other)
        axes.semilogy(norms.numpy(), color=color)
        if name in bounds:
            axes.semilogy(bounds[name].numpy(), color=color, linestyle=":", linewidth=1.5)
        label_line(axes, len(norms) - 1.0, float(norms[-1]), name, color)
    axes.set(xlabel="distance (steps back)")
    _leave_room(axes, len(norms), 0.4)


def memory_and_gradient(
    memories: Mapping[str, Float[Tensor, " T"]], norms: Mapping[str, Float[Tensor, " T"]]
) -> Figure:
    """What units remember of a pulse, on the left, and how far their gradients reach, on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8))
    for (name, curve), color in zip(memories.items(), COLORS, strict=False):
        left.plot(curve.numpy(), color=color)
        label_line(left, len(curve) - 1.0, float(curve[-1]), name, color)
    left.set(xlabel="steps after the pulse", ylabel="state", title="The latch remembers …")
    _leave_room(left, len(curve), 0.5)
    gradient_lines(right, norms, {})
    right.set(ylabel="gradient norm", title="… and cannot learn")
    return figure


def recall(
    delays: Sequence[int], accuracies: Mapping[str, Float[np.ndarray, "seeds delays"]], chance: float, title: str
) -> Figure:
    """How often each kind of network recalls, by delay: a thin line for each seed and a thick one for their mean."""
    figure, axes = plt.subplots(figsize=(7.5, 4.0))
    axes.axhline(chance, color=GREY, linewidth=1, linestyle="--")
    axes.annotate("guessing", (delays[0], chance), xytext=(0, 4), textcoords="offset points", color=ink(GREY))
    for name, seeds in accuracies.items():
        axes.semilogx(delays, seeds.T, color=KINDS[name], linewidth=0.8, alpha=0.6, base=2)
        axes.semilogx(delays, seeds.mean(0), color=KINDS[name], marker="o", base=2)
        label_line(axes, float(delays[-1]), float(seeds.mean(0)[-1]) + 0.03, name, KINDS[name])
    axes.set_xticks(delays, [str(delay) for delay in delays])
    axes.minorticks_off()
    axes.set(xlim=(delays[0] * 0.9, delays[-1] * 1.6), ylim=(0, 1.08))
    axes.set(xlabel="symbols read since (delay)", ylabel="recalled correctly", title=title)
    return figure


def depths(lengths: Sequence[int], chains: Mapping[str, Sequence[int]]) -> Figure:
    """The longest chain of operations that wait for one another, by length of the text."""
    return _by_length(lengths, chains, "longest chain (operations)", "A recurrence makes every token wait for the last")


def seconds(lengths: Sequence[int], times: Mapping[str, Sequence[float]]) -> Figure:
    """How long a forward and backward pass took, by length of the text."""
    slowest = max(times, key=lambda name: times[name][-1])
    title = f"At {lengths[-1]} tokens, the {slowest} takes longest on this machine"
    return _by_length(lengths, times, "forward and backward (seconds)", title)


def _by_length(
    lengths: Sequence[int], values: Mapping[str, Sequence[float] | Sequence[int]], label: str, title: str
) -> Figure:
    figure, axes = plt.subplots(figsize=(7.5, 3.6))
    for name, value in values.items():
        axes.loglog(lengths, value, marker="o", color=KINDS[name])
        label_line(axes, float(lengths[-1]), float(value[-1]), name, KINDS[name])
    axes.set_xticks(lengths, [str(n) for n in lengths])
    axes.minorticks_off()
    axes.set(xlim=(lengths[0] * 0.8, lengths[-1] * 2.5), xlabel="length (tokens)", ylabel=label, title=title)
    return figure


def real_gradient(curves: Mapping[str, Float[Tensor, " T"]], title: str) -> Figure:
    """Gradients by distance of several networks, each relative to its own at distance 1."""
    figure, axes = plt.subplots(figsize=(8, 4.2))
    for (name, norms), color in zip(curves.items(), (BLUE, SKY, RED), strict=False):
        relative = (norms / norms[1]).numpy()
        axes.semilogy(range(1, len(relative)), relative[1:], color=color)
        label_line(axes, len(relative) - 1.0, float(relative[-5:].mean()), name, color)
    axes.set(xlabel="distance (tokens back)", ylabel="gradient norm, at distance 1 = 1", title=title)
    _leave_room(axes, len(norms), 0.42)
    return figure
