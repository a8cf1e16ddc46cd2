"""Figures about the residual stream: its size, its gradients, and what a model predicts after each block."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from gemini_workshop.visualization.attention import visible_token
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    ink,
    label_line,
    spread_labels,
    text_on,
)

COLORS = (RED, ORANGE, BLUE, GREEN)
PLACEMENTS = {  # one color each, in all figures
    "post": RED,
    "pre": BLUE,
    "sandwich": GREEN,
    "post, leveled": ORANGE,
    "post, silent start": PURPLE,
}


def stream_sizes(sizes: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Root mean square of the stream after each block; one line per way to stack; it ends out of range."""
    figure, axes = plt.subplots(figsize=(7.5, 3.8))
    for (name, size), color in zip(sizes.items(), COLORS, strict=False):
        seen = [value for value in size if 1e-12 < value < 1e12]
        axes.semilogy(range(len(seen)), seen, color=color, marker="o", markersize=4)
        label_line(axes, float(len(seen) - 1), seen[-1], name, color)
    longest = max(map(len, sizes.values())) - 1
    axes.set_xticks(range(0, longest + 1, max(1, longest // 6)))
    axes.set(
        xlabel="blocks passed", ylabel="size of the stream (root mean square)", title=title, xlim=(-0.3, longest * 1.4)
    )
    return describe(figure, f"A line with a point per block for each of {', '.join(sizes)}, on a logarithmic axis.")


def gradient_by_block(norms: Mapping[str, Sequence[Sequence[float]]], title: str) -> Figure:
    """Size of the gradient in each block at the start; one color for each placement of the norms, one line per seed."""
    figure, axes = plt.subplots(figsize=(7.5, 4.0))
    last_label = float("inf")
    for name, seeds in norms.items():
        for norm in seeds:
            axes.semilogy(range(1, len(norm) + 1), norm, color=PLACEMENTS[name], linewidth=1.4, alpha=0.8)
        last_label = min(sum(norm[-1] for norm in seeds) / len(seeds), last_label / 1.6)  # no label on another
        label_line(axes, float(len(seeds[0])), last_label, name, PLACEMENTS[name])
    longest = max(len(norm) for seeds in norms.values() for norm in seeds)
    axes.set_ylim(bottom=last_label / 1.6)
    axes.set_xticks([1, *range(longest // 4, longest + 1, max(1, longest // 4))])
    axes.set(
        xlabel="block, counted from the input",
        ylabel="norm of the gradient",
        title=title,
        xlim=(0, longest * 1.22),
    )
    return describe(figure, f"Thin lines, one per seed, for each of {', '.join(norms)}, on a logarithmic axis.")


def losses(curves: Mapping[str, Sequence[float]], title: str, level: tuple[float, str] | None = None) -> Figure:
    """Loss by step, one line for each model, on a logarithmic axis.

    Args:
        level: a loss to mark, and its name.
    """
    figure, axes = plt.subplots(figsize=(7.5, 3.8))
    longest = max(map(len, curves.values()))
    for (name, curve), color in zip(curves.items(), (BLUE, RED, ORANGE, GREEN), strict=False):
        axes.semilogy(range(len(curve)), curve, color=color)
        label_line(axes, float(len(curve) - 1), curve[-1], name, color)
    if level is not None:
        _mark(axes, level, longest)
    _write_out_few_ticks(axes, [height for curve in curves.values() for height in curve])
    axes.set_xticks(range(0, longest + 1, 20))
    axes.set(xlabel="step", ylabel="loss (nats per token)", title=title, xlim=(0, longest * 1.35))
    return describe(
        figure,
        f"A falling line each for {', '.join(curves)}, on a logarithmic axis"
        + (f"; a broken line: {level[1]}." if level else "."),
    )


def _write_out_few_ticks(axes: Axes, heights: Sequence[float]) -> None:
    """On a logarithmic axis of less than two powers of ten: 5, 2, 1 in place of powers."""
    if max(heights) < 100 * min(heights):
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")


def _mark(axes: Axes, level: tuple[float, str], longest: int) -> None:
    """A broken line at a loss, with its name."""
    axes.hlines(level[0], 0, longest - 1, color=GREY, linewidth=1, linestyle="--")
    place: dict[str, Any] = {"xytext": (2, -3), "textcoords": "offset points", "va": "top", "ha": "left", "size": 9}
    axes.annotate(level[1], (0, level[0]), color=ink(GREY), **place)


def losses_of_seeds(curves: Mapping[str, Sequence[Sequence[float]]], title: str, level: tuple[float, str]) -> Figure:
    """Loss by step for each way to train: a thin line per seed, a thick one for their mean; ``level`` is marked."""
    figure, axes = plt.subplots(figsize=(8.2, 4.2))
    longest = max(len(curve) for seeds in curves.values() for curve in seeds)
    _lines_of_seeds(axes, curves, apart=0.5)
    _mark(axes, level, longest)
    axes.set(xlabel="step", ylabel="loss (nats per token)", title=title)
    axes.set(xlim=(0, longest * 1.42), ylim=(0, None))
    return describe(figure, f"A thick line for {_listed(curves)}, with a thin one per seed; a broken line: {level[1]}.")


def similarity_by_block(similarities: Mapping[str, Sequence[Sequence[float]]], title: str) -> Figure:
    """Mean cosine between the vectors of different tokens of one text, after each block; a thin line per seed."""
    figure, axes = plt.subplots(figsize=(8.2, 3.8))
    longest = max(len(line) for seeds in similarities.values() for line in seeds)
    _lines_of_seeds(axes, similarities, apart=0.07)
    axes.set(xlabel="blocks passed", ylabel="mean cosine of two tokens' vectors", title=title)
    axes.set(xlim=(0, longest * 1.38), ylim=(-0.05, 1.05), xticks=range(0, longest, max(2, longest // 6)))
    return describe(figure, f"A thick line for {_listed(similarities)}, with a thin one per seed, from 0 to 1.")


def _lines_of_seeds(axes: Axes, lines: Mapping[str, Sequence[Sequence[float]]], apart: float) -> None:
    """Thin lines for seeds and a thick one for their mean, which carries the name; names are ``apart`` in height."""
    means = {name: np.mean(seeds, axis=0) for name, seeds in lines.items()}
    heights = spread_labels([float(mean[-1]) for mean in means.values()], apart)
    for (name, mean), height in zip(means.items(), heights, strict=True):
        axes.plot(np.transpose(lines[name]), color=PLACEMENTS[name], linewidth=0.8, alpha=0.6)
        axes.plot(mean, color=PLACEMENTS[name])
        label_line(axes, float(len(mean) - 1), height, name, PLACEMENTS[name])


def _listed(names: Iterable[str]) -> str:
    return "; ".join(names)


def logit_lens(
    predicted: Sequence[Sequence[str]], probabilities: Sequence[Sequence[float]], tokens: Sequence[str], title: str
) -> Figure:
    """What the model predicts after each block: one row per block, the last one on top, one column per token.

    Args:
        predicted: the most likely next token, row by row; the first row is the embedding.
        probabilities: its probability.
    """
    figure, axes = plt.subplots(figsize=(max(5.2, 0.64 * len(tokens) + 1.6), 0.42 * len(predicted) + 1.5))
    image = axes.imshow(probabilities, vmin=0, vmax=1, cmap="Blues", aspect="auto", origin="lower")
    for row, words in enumerate(predicted):
        for column, word in enumerate(words):
            color = "white" if probabilities[row][column] > 0.55 else BLACK
            axes.text(column, row, visible_token(word), ha="center", va="center", size=8, color=color)
    axes.set_xticks(range(len(tokens)), [visible_token(token) for token in tokens], size=8.5, weight="bold")
    names = ["embedding", *[f"block {i}" for i in range(1, len(predicted))]]
    axes.set_yticks(range(len(predicted)), names, size=9)
    axes.set(xlabel="token just read", ylabel="read off after", title=title)
    bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02)
    bar.set_label("probability")
    bar.outline.set_visible(False)
    return describe(
        figure,
        f"A table with a column per token of {' '.join(visible_token(token) for token in tokens)} "
        "and a row per block, the embedding at the bottom; each cell holds the predicted next "
        "token, darker where it is more probable.",
    )


def where_the_parameters_are(parts: Mapping[str, Mapping[str, int]], title: str) -> Figure:
    """Percentages of the parameters by part; one bar for each model."""
    figure, axes = plt.subplots(figsize=(7.5, 0.62 * len(parts) + 1.7))
    names = list(next(iter(parts.values())))
    left = dict.fromkeys(parts, 0.0)
    for name, color in zip(names, (ORANGE, BLUE, GREEN, GREY), strict=False):
        widths = [100 * counts[name] / sum(counts.values()) for counts in parts.values()]
        axes.barh(list(parts), widths, left=list(left.values()), color=color, height=0.62, label=name)
        for row, (model, width) in enumerate(zip(parts, widths, strict=True)):
            if width > 7:
                axes.text(
                    left[model] + width / 2, row, f"{width:.0f} %", ha="center", va="center", color=text_on(color)
                )
            left[model] += width
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="parameters (%)", title=title)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=len(names))
    return describe(figure, f"A bar for each of {', '.join(parts)}, divided into {', '.join(names)}.")
