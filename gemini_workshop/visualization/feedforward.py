"""Figures about feed-forward layers: nonlinearities, activations, equal budgets, neurons as memories."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gemini_workshop.visualization.attention import visible_token
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import BLACK, BLUE, COLORS, GREY, ORANGE, RED, SIGNED, ink, label_line

MONOSPACE_ASPECT = 0.602  # width of a character of DejaVu Sans Mono in units of its size


def corner_maps(
    maps: dict[str, Float[Tensor, "N N"]], reach: float, corners: Float[Tensor, "P 2"], targets: Float[Tensor, " P"]
) -> Figure:
    """What functions of two channels compute all over the plane, and what they should compute at a few points.

    Args:
        maps: for each title the answers on a grid from -reach to reach; rows are the second channel.
    """
    figure, panels = plt.subplots(1, len(maps), figsize=(4.1 * len(maps) + 0.6, 3.7), sharey=True, squeeze=False)
    for axes, (title, values) in zip(panels[0], maps.items(), strict=True):
        image = axes.imshow(
            values.numpy(), origin="lower", extent=(-reach, reach, -reach, reach), cmap=SIGNED, vmin=-1.5, vmax=1.5
        )
        for (x, y), target in zip(corners.tolist(), targets.tolist(), strict=True):
            axes.text(x, y, f"{target:+.0f}", ha="center", va="center", weight="bold", bbox=_label_box())
        axes.set(xlabel="channel 0", xticks=[-1, 0, 1], yticks=[-1, 0, 1], title=title)
    panels[0][0].set_ylabel("channel 1")
    bar = figure.colorbar(image, ax=panels[0], shrink=0.85)
    bar.set_label("the answer; wanted: the numbers")
    bar.outline.set_visible(False)
    return describe(
        figure, f"A map for each of {', '.join(maps)}, with the wanted answers +1 and -1 written at the four corners."
    )


def learning_curves(curves: dict[str, Sequence[float]], ylabel: str, title: str) -> Figure:
    """How a loss falls, step by step; one line for each curve."""
    figure, axes = plt.subplots(figsize=(7, 3.4))
    for (name, losses), color in zip(curves.items(), (RED, BLUE, *COLORS[2:]), strict=False):
        axes.plot(losses, color=color)
        label_line(axes, float(len(losses) - 1), losses[-1], name, color)
    longest = max(map(len, curves.values()))
    lowest = -0.06 * max(map(max, curves.values()))
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= longest])
    axes.set(xlim=(0, longest * 1.2), ylim=(lowest, None), xlabel="step", ylabel=ylabel, title=title)
    return describe(figure, f"A line each for {', '.join(curves)}.")


def activation(
    x: Float[Tensor, " N"], y: Float[Tensor, " N"], slope: Float[Tensor, " N"], at: float, name: str
) -> Figure:
    """A curve with its tangent at one place, and its slope everywhere."""
    figure, (curve, slopes) = plt.subplots(1, 2, figsize=(8.6, 3.5))
    i = int((x - at).abs().argmin())
    x0, y0, slope0 = float(x[i]), float(y[i]), float(slope[i])
    for axes in (curve, slopes):
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.set(xlabel="input", xlim=(float(x[0]), float(x[-1])))
    curve.plot(x, y, color=BLUE)
    reach = 0.9
    curve.plot([x0 - reach, x0 + reach], [y0 - reach * slope0, y0 + reach * slope0], color=RED)
    curve.plot([x0], [y0], marker="o", color=RED)
    curve.set(ylabel="output", ylim=(-1, 4), title=f"{name}({x0:.1f}) = {y0:.2f}")
    slopes.plot(x, slope, color=BLUE)
    slopes.plot([x0], [slope0], marker="o", color=RED)
    slopes.set(ylabel="slope: the gradient that passes", ylim=(-0.3, 1.3), title=f"slope {slope0:.2f}")
    return describe(
        figure,
        "Left: the curve with its tangent at one point. Right: its slope everywhere, with the same point marked.",
    )


def beyond_what_was_seen(
    x: Sequence[float], target: Sequence[float], answers: dict[str, Sequence[float]], seen: tuple[float, float]
) -> Figure:
    """A function that was learned within a range, inside and outside of it."""
    figure, axes = plt.subplots(figsize=(7.2, 3.6))
    axes.axvspan(*seen, color=GREY, alpha=0.18, linewidth=0)
    axes.text(sum(seen) / 2, 0.96, "seen in training", transform=axes.get_xaxis_transform(), ha="center", va="top")
    axes.plot(x, target, color=BLACK, linestyle=":", linewidth=3)
    start = len(x) // 10
    axes.annotate("the product", (x[start], target[start]), xytext=(10, 2), textcoords="offset points", va="center")
    for (name, values), color in zip(answers.items(), (RED, BLUE), strict=False):
        axes.plot(x, values, color=color)
        label_line(axes, x[-1], values[-1], name, color)
    axes.set(
        xticks=range(math.ceil(x[0]), math.floor(x[-1]) + 1),
        xlim=(x[0], x[-1] + 0.45 * (x[-1] - x[0])),
        xlabel="both channels",
        ylabel="answer",
        title="Outside, ReLU ends in straight lines; a gate multiplies",
    )
    return describe(
        figure,
        f"The product as a dotted curve, and a line each for {', '.join(answers)}; the range "
        "seen in training is shaded.",
    )


def losses_with_activation(losses: dict[str, float], trained_with: str) -> Figure:
    """The loss of a trained model with activations other than its own."""
    figure, axes = plt.subplots(figsize=(7, 2.8))
    names = list(losses)
    axes.barh(
        names, list(losses.values()), color=[BLUE if name == trained_with else GREY for name in names], height=0.6
    )
    for i, loss in enumerate(losses.values()):
        axes.annotate(f"{loss:.2f}", (loss, i), xytext=(5, 0), textcoords="offset points", va="center")
    axes.set(
        xlim=(0, 1.15 * max(losses.values())),
        xlabel="loss (nats per token)",
        title=f"Trained with {trained_with}: other curves cost a little",
    )
    axes.invert_yaxis()
    return describe(figure, f"A bar each for {', '.join(losses)}; that of {trained_with} stands out.")


def losses_by_seed(losses: dict[str, Sequence[float]], ylabel: str, title: str) -> Figure:
    """One point for each variant and seed, lines along the seeds, a bar at each mean."""
    figure, axes = plt.subplots(figsize=(7, 3.8))
    names = list(losses)
    for one_seed in zip(*losses.values(), strict=True):
        axes.plot(names, one_seed, color=GREY, linewidth=0.8, zorder=1)
    for i, ((name, values), color) in enumerate(zip(losses.items(), (*COLORS, BLACK), strict=False)):
        axes.scatter([name] * len(values), values, color=color, s=50, zorder=3)
        mean = sum(values) / len(values)
        axes.hlines(mean, i - 0.22, i + 0.22, color=color, linewidth=3)
        axes.annotate(f"{mean:.2f}", (i + 0.22, mean), xytext=(5, 0), textcoords="offset points", va="center")
    axes.margins(x=0.12, y=0.15)
    axes.set(ylabel=ylabel, title=title)
    return describe(
        figure, f"Three points for each of {', '.join(losses)}, joined along the races, with a bar at each mean."
    )


def memory(
    contexts: Sequence[tuple[str, str, str]],
    strengths: Sequence[float],
    promoted: Sequence[str],
    scores: Sequence[float],
    title: str,
) -> Figure:
    """A neuron: the places in a text where it is most active, one per line, and the tokens that its value promotes.

    Args:
        contexts: the text before the token, the token, the text after it.
    """
    figure, (text, bars) = plt.subplots(1, 2, figsize=(10, 0.3 * len(contexts) + 1.5), width_ratios=(3.4, 1))
    for row, ((before, token, after), strength) in enumerate(zip(contexts, strengths, strict=True)):
        _in_context(text, row, before, token, after)
        text.text(1.0, row, f"{strength:.1f}", ha="right", va="center", size=9, color=ink(GREY))
    text.set(xlim=(0, 1), ylim=(len(contexts) - 0.4, -1.2))
    text.set_title(title)
    text.text(0.5, -0.85, "it is active at", color=ink(RED), ha="center", va="center", size=9)
    text.text(1.0, -0.85, "strength", color=ink(GREY), ha="right", va="center", size=9)
    text.axis("off")
    bars.barh(range(len(promoted)), list(scores), color=BLUE, height=0.6)
    bars.set_yticks(range(len(promoted)), [visible_token(token) for token in promoted], family="monospace", size=9)
    bars.set(xlabel="score added", xticks=[], title="and promotes")
    bars.invert_yaxis()
    return describe(
        figure,
        f"Left: {len(contexts)} lines of text, the token at which it is active in the middle "
        f"of each. Right: a bar for each of {len(promoted)} promoted tokens.",
    )


def _in_context(axes: Axes, row: int, before: str, token: str, after: str, size: float = 8.5) -> None:
    """One line of text around a token, which is in the middle."""
    width = MONOSPACE_ASPECT * size
    style: dict[str, Any] = {"family": "monospace", "size": size, "va": "center"}
    pieces = [(before.replace("\n", "⏎"), 0.0, "right"), (after.replace("\n", "⏎"), len(token) * width, "left")]
    for piece, offset, side in pieces:
        axes.annotate(piece, (0.5, row), xytext=(offset, 0), textcoords="offset points", ha=side, **style)
    space = len(token) - len(token.lstrip(" "))
    box = {"boxstyle": "square,pad=0.15", "facecolor": ORANGE, "alpha": 0.55, "linewidth": 0}
    axes.annotate(
        token.lstrip(" ").replace("\n", "⏎"),
        (0.5, row),
        xytext=(space * width, 0),
        textcoords="offset points",
        ha="left",
        weight="bold",
        bbox=box,
        **style,
    )


def readable_neurons(
    distinct: Int[Tensor, "L F"], strongest: int, agreement: Float[Tensor, " L"], chance: Float[Tensor, " L"]
) -> Figure:
    """How many different tokens activate a neuron, and how often its value promotes what really comes next, by layer.

    Args:
        strongest: how many of each neuron's triggers were counted.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.6))
    edges = [n + 0.5 for n in range(strongest + 1)]
    left.hist(distinct.flatten().tolist(), bins=edges, color=BLUE, rwidth=0.85)
    median = float(distinct.float().median())
    left.axvline(median, color=RED, linewidth=1.5)
    place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "top"}
    left.annotate("median", (median, 1.0), xytext=(5, 0), color=ink(RED), **place)
    left.margins(y=0.15)
    left.set(
        xlabel=f"different tokens among its {strongest} triggers",
        ylabel="neurons",
        title="Few neurons stand for one word",
    )
    layers = range(len(agreement))
    for values, name, color in ((agreement, "its own value", BLUE), (chance, "another neuron's", GREY)):
        right.plot(layers, [100 * float(value) for value in values], marker="o", color=color)
        label_line(right, float(len(agreement) - 1), 100 * float(values[-1]), name, color)
    right.set(
        xlim=(-0.3, len(agreement) + 1.6),
        xticks=layers,
        ylim=(0, None),
        xlabel="layer",
        ylabel="next token promoted (%)",
        title="Its own value fits better",
    )
    return describe(
        figure,
        "Left: a histogram of neurons with its median marked. Right: two lines over the layers, "
        "its own value above another neuron's.",
    )


def _label_box() -> dict[str, object]:
    return {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
