"""Figures about positions: waves, rotations, what angles a model has met, and how far it reads beyond its training."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import (
    BLACK,
    BLUE,
    COLORS,
    GREEN,
    GREY,
    ORANGE,
    RED,
    SIGNED,
    ink,
    label_line,
    spread_labels,
)


def waves(vectors: Float[Tensor, "T D"]) -> Figure:
    """The vectors of positions 0, 1, 2, ... as colors, and how similar two of them are by their distance."""
    figure, (page, line) = plt.subplots(1, 2, figsize=(9.5, 3.6), width_ratios=(1.35, 1))
    image = page.imshow(vectors.T.numpy(), aspect="auto", cmap=SIGNED, vmin=-1, vmax=1, interpolation="nearest")
    page.set(xlabel="position (tokens)", ylabel="channel", title="Each pair of channels, a slower wave")
    bar = figure.colorbar(image, ax=page, ticks=[-1, 0, 1])
    bar.outline.set_visible(False)
    similarity = (vectors @ vectors.T).numpy()
    middle = len(vectors) // 2
    line.plot(np.arange(len(vectors)) - middle, similarity[middle], color=BLUE)
    line.set(
        xlabel=f"distance from position {middle} (tokens)",
        ylabel="dot product of the two vectors",
        title="Neighbors are similar",
    )
    return describe(
        figure,
        f"Left: a map of {len(vectors)} positions, red for +1 and blue for -1: fast stripes "
        "in the first channels, slow ones in the last. Right: a line with its peak at distance "
        "0.",
    )


def rotated_pair(angle_of_query: float, angle_of_key: float, query: Sequence[float], key: Sequence[float]) -> Figure:
    """One pair of channels of a query and of a key, before and after each is rotated by its angle (radians)."""
    figure, axes = plt.subplots(figsize=(4.6, 4.3))
    axes.add_patch(plt.Circle((0, 0), 1, fill=False, color=GREY, linewidth=1))
    rotated = []
    for name, vector, angle, color in (("query", query, angle_of_query, BLUE), ("key", key, angle_of_key, ORANGE)):
        x = vector[0] * math.cos(angle) - vector[1] * math.sin(angle)
        y = vector[1] * math.cos(angle) + vector[0] * math.sin(angle)
        rotated.append((x, y))
        _arrow(axes, vector, color, alpha=0.25)
        _arrow(axes, (x, y), color)
        axes.annotate(name, (1.28 * x, 1.28 * y), color=ink(color), weight="bold", ha="center", va="center")
    score = rotated[0][0] * rotated[1][0] + rotated[0][1] * rotated[1][1]
    limits = (-1.4, 1.4)
    axes.set(xlim=limits, ylim=limits, aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    axes.set(xlabel="first channel", ylabel="second channel", title=f"The score of this pair is {score:.2f}")
    return describe(
        figure,
        "Two arrows in a circle, the query in blue and the key in orange; pale arrows show "
        "them before they were rotated.",
    )


def _arrow(axes: Axes, end: Sequence[float], color: str, alpha: float = 1.0) -> None:
    style = {"arrowstyle": "-|>", "color": color, "linewidth": 2.8, "alpha": alpha, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end[0], end[1]), (0, 0), arrowprops=style)


def clock_hands(angles: Float[Tensor, " pairs"], title: str) -> Figure:
    """The angle of every pair at one position, as the hands of one clock per pair."""
    figure, axes = plt.subplots(1, len(angles), figsize=(1.15 * len(angles), 1.9))
    for i, (dial, angle) in enumerate(zip(np.atleast_1d(axes), angles.tolist(), strict=True)):
        dial.add_patch(plt.Circle((0, 0), 1, fill=False, color=GREY, linewidth=1))
        _arrow(dial, (math.cos(angle), math.sin(angle)), COLORS[i % len(COLORS)])
        turns = angle / (2 * math.pi)
        dial.set_title(f"{turns:.2g} turns", size=10, weight="normal", loc="center")
        dial.text(0, -1.35, f"pair {i}", ha="center", va="top", size=10)
        dial.set(xlim=(-1.15, 1.15), ylim=(-1.6, 1.15), aspect="equal")
        dial.axis("off")
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=12)
    return describe(
        figure,
        f"One clock for each of {len(angles)} pairs, from the fastest to the slowest; each "
        "hand is at the angle of its pair.",
    )


def scores_by_position(scores: dict[str, Float[Tensor, "T S"]]) -> Figure:
    """Scores of one and the same query and key, at every pair of positions; one map for each way."""
    figure, all_axes = plt.subplots(1, len(scores), figsize=(3.7 * len(scores) + 0.7, 3.5), squeeze=False)
    largest = max(float(map_.abs().max()) for map_ in scores.values())
    for axes, (name, map_) in zip(all_axes[0], scores.items(), strict=True):
        image = axes.imshow(map_.numpy(), cmap=SIGNED, vmin=-largest, vmax=largest)
        axes.set(xlabel="position of the key", ylabel="position of the query")
        axes.set_title(name, size=11)
    bar = figure.colorbar(image, ax=all_axes[0], shrink=0.85)
    bar.set_label("score")
    bar.outline.set_visible(False)
    return describe(
        figure,
        "A map for each way, one row per position of the query, one column per position of "
        "the key: stripes along the diagonal where distance decides, bands where only one "
        "position does.",
    )


def moved_rows(distances: Float[Tensor, " T"], trained_tokens: int) -> Figure:
    """How far training moved each row of a learned table from where it started."""
    figure, axes = plt.subplots(figsize=(7.5, 2.9))
    axes.fill_between(range(len(distances)), distances.numpy(), color=BLUE, step="mid", alpha=0.85)
    axes.axvline(trained_tokens - 0.5, color=RED, linewidth=1.2)
    axes.annotate(
        "no text was longer",
        (trained_tokens, float(distances.max()) * 0.9),
        xytext=(6, 0),
        textcoords="offset points",
        color=ink(RED),
    )
    axes.set(
        xlabel="row of the table (position)", ylabel="length moved", title="Rows past the training length never moved"
    )
    return describe(figure, f"A valley between two hills up to position {trained_tokens}, and nothing at all beyond.")


def recall_by_length(
    lengths: Sequence[int], accuracies: dict[str, np.ndarray], trained_tokens: int, title: str
) -> Figure:
    """Fraction of right answers against the length of the text, one line for each kind of positions.

    Args:
        accuracies: for each kind a row per seed and a column per length; seeds are thin lines, their mean a thick one.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4.4))
    colors = (GREY, ORANGE, GREEN, RED, BLUE, BLACK)
    ends = spread_labels([float(seeds[:, -1].mean()) for seeds in accuracies.values()], apart=0.055)
    for (name, seeds), color, height in zip(accuracies.items(), colors, ends, strict=False):
        axes.plot(lengths, seeds.T, color=color, linewidth=0.8, alpha=0.6)
        axes.plot(lengths, seeds.mean(0), marker="o", color=color)
        label_line(axes, float(lengths[-1]), height, name, color)
    axes.axvline(trained_tokens, color=BLACK, linewidth=1, linestyle=":")
    axes.annotate("trained on this length", (trained_tokens, 1.02), xytext=(6, 0), textcoords="offset points", size=10)
    axes.set_xticks(lengths)
    axes.set_xlim(lengths[0] - 8, lengths[-1] * 1.25)
    axes.set(xlabel="length of the text (tokens)", ylabel="fraction of right answers", ylim=(0, 1.08))
    axes.set_title(title, pad=16)
    return describe(
        figure, f"A line each for {', '.join(accuracies)}, over texts of {', '.join(map(str, lengths))} tokens."
    )


def angles_met(frequencies: dict[str, Float[Tensor, " pairs"]], trained_tokens: int, tested_tokens: int) -> Figure:
    """The largest angle of every pair in training and in the test; below a full turn, longer texts bring new ones."""
    figure, axes = plt.subplots(figsize=(8.5, 3.8))
    trained, *others = frequencies.items()
    pairs = range(len(trained[1]))
    axes.axhspan(2 * math.pi, 1e4, color=GREY, alpha=0.15, linewidth=0)
    axes.semilogy(pairs, trained[1] * trained_tokens, color=ORANGE, marker="o", linewidth=5, alpha=0.7)
    label_line(
        axes, float(pairs[-1]), float(trained[1][-1]) * trained_tokens, f"met in training ({trained_tokens})", ORANGE
    )
    for (name, values), color in zip([trained, *others], (RED, BLUE, BLACK), strict=False):
        end = float(values[-1]) * tested_tokens
        axes.semilogy(pairs, values * tested_tokens, color=color, marker=".", linestyle="--")
        if color == RED:
            label_line(axes, float(pairs[-1]), end, f"{name} ({tested_tokens})", color)
    handles = [
        plt.Line2D([], [], color=color, linestyle="--", marker=".", label=name)
        for (name, _), color in zip(others, (BLUE, BLACK), strict=False)
    ]
    axes.legend(handles=handles, loc="lower left", title=f"{tested_tokens} tokens, slowed down:")
    axes.annotate("a full turn or more: every angle was met", (pairs[-1], 200), ha="right", color=BLACK, size=10)
    axes.set_xlim(-0.5, pairs[-1] * 1.38)
    axes.set_xticks(pairs[::3])
    axes.set_ylim(0.1, 400)
    axes.set(xlabel="pair, fastest first", ylabel="largest angle (radians)", title="Only slow pairs meet new angles")
    return describe(
        figure,
        f"A line falling from the fastest to the slowest pair for each of {', '.join(frequencies)}; "
        "the area above a full turn is shaded.",
    )


def loss_by_position(
    edges: Sequence[int], losses: dict[str, Sequence[float]], context_tokens: int, title: str
) -> Figure:
    """Mean loss between neighbouring edges, for a model read in several ways, past the context it was trained on."""
    figure, axes = plt.subplots(figsize=(8.5, 3.8))
    ends = spread_labels([values[-1] for values in losses.values()], apart=0.12)
    for (name, values), color, height in zip(losses.items(), (RED, BLUE, BLACK), ends, strict=False):
        axes.stairs(values, edges, color=color, linewidth=2.2, baseline=None)
        label_line(axes, float(edges[-1]), height, name, color)
    axes.axvspan(edges[0], context_tokens, color=GREY, alpha=0.15, linewidth=0)
    axes.annotate("context in training", (edges[0], 1.01), xycoords=("data", "axes fraction"))
    axes.set_xlim(edges[0], edges[-1] * 1.22)
    axes.set_xticks(edges)
    axes.set(xlabel="position (tokens)", ylabel="loss (nats per token)")
    axes.set_title(title, pad=18)
    return describe(figure, f"Steps for each of {', '.join(losses)}; the context of the training is shaded.")
