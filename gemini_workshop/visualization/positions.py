"""Figures about positions: waves, rotations, what angles a model has met, and how far it reads beyond its training."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gemini_workshop.visualization.theme import BLACK, BLUE, COLOURS, GREEN, GREY, ORANGE, RED, label_line


def waves(vectors: Float[Tensor, "T D"]) -> Figure:
    """The vectors of positions 0, 1, 2, ... as colours, and how alike two of them are by their distance."""
    figure, (picture, line) = plt.subplots(1, 2, figsize=(9.5, 3.6), width_ratios=(1.35, 1))
    image = picture.imshow(vectors.T.numpy(), aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    picture.set(xlabel="position (tokens)", ylabel="channel", title="Each pair of channels, a slower wave")
    bar = figure.colorbar(image, ax=picture, ticks=[-1, 0, 1])
    bar.outline.set_visible(False)
    likeness = (vectors @ vectors.T).numpy()
    middle = len(vectors) // 2
    line.plot(np.arange(len(vectors)) - middle, likeness[middle], color=BLUE)
    line.set(
        xlabel=f"distance from position {middle} (tokens)",
        ylabel="dot product of the two vectors",
        title="Near is alike",
    )
    return figure


def turning_pair(angle_of_query: float, angle_of_key: float, query: Sequence[float], key: Sequence[float]) -> Figure:
    """One pair of channels of a query and of a key, before and after each is turned by its angle (radians)."""
    figure, axes = plt.subplots(figsize=(4.6, 4.3))
    axes.add_patch(plt.Circle((0, 0), 1, fill=False, color=GREY, linewidth=1))
    turned = []
    for name, vector, angle, colour in (("query", query, angle_of_query, BLUE), ("key", key, angle_of_key, ORANGE)):
        x = vector[0] * math.cos(angle) - vector[1] * math.sin(angle)
        y = vector[1] * math.cos(angle) + vector[0] * math.sin(angle)
        turned.append((x, y))
        _arrow(axes, vector, colour, alpha=0.25)
        _arrow(axes, (x, y), colour)
        axes.annotate(name, (1.28 * x, 1.28 * y), color=colour, weight="bold", ha="center", va="center")
    score = turned[0][0] * turned[1][0] + turned[0][1] * turned[1][1]
    limits = (-1.4, 1.4)
    axes.set(xlim=limits, ylim=limits, aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    axes.set(xlabel="first channel", ylabel="second channel", title=f"The score of this pair is {score:.2f}")
    return figure


def _arrow(axes: Axes, end: Sequence[float], colour: str, alpha: float = 1.0) -> None:
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 2.8, "alpha": alpha, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end[0], end[1]), (0, 0), arrowprops=style)


def clock_hands(angles: Float[Tensor, " pairs"], title: str) -> Figure:
    """The angle of every pair at one position, as the hands of so many clocks."""
    figure, axes = plt.subplots(1, len(angles), figsize=(1.15 * len(angles), 1.9))
    for i, (dial, angle) in enumerate(zip(np.atleast_1d(axes), angles.tolist(), strict=True)):
        dial.add_patch(plt.Circle((0, 0), 1, fill=False, color=GREY, linewidth=1))
        _arrow(dial, (math.cos(angle), math.sin(angle)), COLOURS[i % len(COLOURS)])
        turns = angle / (2 * math.pi)
        dial.set_title(f"{turns:.2g} turns", size=9, weight="normal", loc="center")
        dial.text(0, -1.35, f"pair {i}", ha="center", va="top", size=9)
        dial.set(xlim=(-1.15, 1.15), ylim=(-1.6, 1.15), aspect="equal")
        dial.axis("off")
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=12)
    return figure


def scores_by_position(scores: dict[str, Float[Tensor, "T S"]]) -> Figure:
    """Scores of one and the same query and key, put at every pair of positions; a picture for each way."""
    figure, all_axes = plt.subplots(1, len(scores), figsize=(3.7 * len(scores), 3.5), squeeze=False)
    for axes, (name, map_) in zip(all_axes[0], scores.items(), strict=True):
        axes.imshow(map_.numpy(), cmap="RdBu_r", vmin=-float(map_.abs().max()), vmax=float(map_.abs().max()))
        axes.set(xlabel="position of the key", ylabel="position of the query")
        axes.set_title(name, size=11)
    return figure


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
        color=RED,
    )
    axes.set(
        xlabel="row of the table (position)", ylabel="length moved", title="Rows past the training length never moved"
    )
    return figure


def recall_by_length(
    lengths: Sequence[int], accuracies: dict[str, Sequence[float]], trained_tokens: int, title: str
) -> Figure:
    """Share of right answers against the length of the text, one line for each kind of positions."""
    figure, axes = plt.subplots(figsize=(8.5, 4.4))
    colours = (GREY, ORANGE, GREEN, RED, BLUE, BLACK)
    ends = _spread_labels([values[-1] for values in accuracies.values()], apart=0.055)
    for (name, values), colour, height in zip(accuracies.items(), colours, ends, strict=False):
        axes.plot(lengths, values, marker="o", color=colour)
        label_line(axes, float(lengths[-1]), height, name, colour)
    axes.axvline(trained_tokens, color=BLACK, linewidth=1, linestyle=":")
    axes.annotate("trained on this length", (trained_tokens, 1.02), xytext=(6, 0), textcoords="offset points", size=10)
    axes.set_xticks(lengths)
    axes.set_xlim(lengths[0] - 8, lengths[-1] * 1.25)
    axes.set(xlabel="length of the text (tokens)", ylabel="share of right answers", ylim=(0, 1.08))
    axes.set_title(title, pad=16)
    return figure


def _spread_labels(heights: Sequence[float], apart: float) -> list[float]:
    """The heights, with those that are too close moved up, so that labels do not lie on each other."""
    placed = dict.fromkeys(range(len(heights)), 0.0)
    lowest = -math.inf
    for i in sorted(placed, key=lambda i: heights[i]):
        placed[i] = lowest = max(heights[i], lowest + apart)
    return list(placed.values())


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
    for (name, values), colour in zip([trained, *others], (RED, BLUE, BLACK), strict=False):
        end = float(values[-1]) * tested_tokens
        axes.semilogy(pairs, values * tested_tokens, color=colour, marker=".", linestyle="--")
        if colour == RED:
            label_line(axes, float(pairs[-1]), end, f"{name} ({tested_tokens})", colour)
    handles = [
        plt.Line2D([], [], color=colour, linestyle="--", marker=".", label=name)
        for (name, _), colour in zip(others, (BLUE, BLACK), strict=False)
    ]
    axes.legend(handles=handles, loc="lower left", title=f"{tested_tokens} tokens, slowed down:")
    axes.annotate("a full turn or more: every angle was met", (pairs[-1], 200), ha="right", color=BLACK, size=10)
    axes.set_xlim(-0.5, pairs[-1] * 1.38)
    axes.set_xticks(pairs[::3])
    axes.set_ylim(0.1, 400)
    axes.set(xlabel="pair, fastest first", ylabel="largest angle (radians)", title="Only slow pairs meet new angles")
    return figure


def loss_by_position(
    edges: Sequence[int], losses: dict[str, Sequence[float]], context_tokens: int, title: str
) -> Figure:
    """Mean loss between neighbouring edges, for a model read in several ways, past the context it was trained on."""
    figure, axes = plt.subplots(figsize=(8.5, 3.8))
    ends = _spread_labels([values[-1] for values in losses.values()], apart=0.12)
    for (name, values), colour, height in zip(losses.items(), (RED, BLUE, BLACK), ends, strict=False):
        axes.stairs(values, edges, color=colour, linewidth=2.2, baseline=None)
        label_line(axes, float(edges[-1]), height, name, colour)
    axes.axvspan(edges[0], context_tokens, color=GREY, alpha=0.15, linewidth=0)
    axes.annotate("context in training", (edges[0], 1.01), xycoords=("data", "axes fraction"))
    axes.set_xlim(edges[0], edges[-1] * 1.22)
    axes.set_xticks(edges)
    axes.set(xlabel="position (tokens)", ylabel="loss (nats per token)")
    axes.set_title(title, pad=18)
    return figure
