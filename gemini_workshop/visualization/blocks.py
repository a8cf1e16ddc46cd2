"""Figures about the residual stream: its size, its gradients, and what a model would say after each block."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from gemini_workshop.visualization.attention import visible_token
from gemini_workshop.visualization.theme import BLACK, BLUE, GREEN, GREY, ORANGE, RED, label_line

COLOURS = (RED, ORANGE, BLUE, GREEN)


def stream_sizes(sizes: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Root mean square of the stream after each block; one line for each way to stack, broken off where it ends."""
    figure, axes = plt.subplots(figsize=(7.5, 3.8))
    for (name, size), colour in zip(sizes.items(), COLOURS, strict=False):
        seen = [value for value in size if 1e-12 < value < 1e12]
        axes.semilogy(range(len(seen)), seen, color=colour, marker="o", markersize=4)
        label_line(axes, float(len(seen) - 1), seen[-1], name, colour)
    longest = max(map(len, sizes.values())) - 1
    axes.set_xticks(range(0, longest + 1, max(1, longest // 6)))
    axes.set(
        xlabel="blocks passed", ylabel="size of the stream (root mean square)", title=title, xlim=(-0.3, longest * 1.4)
    )
    return figure


def gradient_by_block(norms: Mapping[str, Sequence[Sequence[float]]], title: str) -> Figure:
    """Size of the gradient in each block at the start; one colour for each placement of the norms, one line a seed."""
    figure, axes = plt.subplots(figsize=(7.5, 4.0))
    last_label = float("inf")
    for (name, seeds), colour in zip(norms.items(), (RED, BLUE, GREEN), strict=False):
        for norm in seeds:
            axes.semilogy(range(1, len(norm) + 1), norm, color=colour, linewidth=1.4, alpha=0.8)
        last_label = min(sum(norm[-1] for norm in seeds) / len(seeds), last_label / 1.6)  # no label on another
        label_line(axes, float(len(seeds[0])), last_label, name, colour)
    longest = max(len(norm) for seeds in norms.values() for norm in seeds)
    axes.set_ylim(bottom=last_label / 1.6)
    axes.set_xticks([1, *range(longest // 4, longest + 1, max(1, longest // 4))])
    axes.set(
        xlabel="block, counted from the input",
        ylabel="norm of the gradient",
        title=title,
        xlim=(0, longest * 1.22),
    )
    return figure


def losses(curves: Mapping[str, Sequence[float]], title: str, level: tuple[float, str] | None = None) -> Figure:
    """Loss by step, one line for each model, on a logarithmic axis.

    Args:
        level: a height to be marked, and its name.
    """
    figure, axes = plt.subplots(figsize=(7.5, 3.8))
    longest = max(map(len, curves.values()))
    for (name, curve), colour in zip(curves.items(), (BLUE, RED, ORANGE, GREEN), strict=False):
        axes.semilogy(range(len(curve)), curve, color=colour)
        label_line(axes, float(len(curve) - 1), curve[-1], name, colour)
    if level is not None:
        axes.hlines(level[0], 0, longest - 1, color=GREY, linewidth=1, linestyle="--")
        at = (0.63 * longest, level[0])
        axes.annotate(level[1], at, xytext=(0, -3), textcoords="offset points", va="top", color=GREY, size=9)
    axes.set_xticks(range(0, longest + 1, 20))
    axes.set(xlabel="step", ylabel="loss (nats per token)", title=title, xlim=(0, longest * 1.35))
    return figure


def logit_lens(
    said: Sequence[Sequence[str]], shares: Sequence[Sequence[float]], tokens: Sequence[str], title: str
) -> Figure:
    """What the model would say next after each block: one row a block, the last one on top, one column a token.

    Args:
        said: the likeliest next token, row by row; the first row is the embedding.
        shares: the probability that is given to it.
    """
    figure, axes = plt.subplots(figsize=(max(4.0, 0.64 * len(tokens) + 1.6), 0.42 * len(said) + 1.5))
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues", aspect="auto", origin="lower")
    for row, words in enumerate(said):
        for column, word in enumerate(words):
            colour = "white" if shares[row][column] > 0.55 else BLACK
            axes.text(column, row, visible_token(word), ha="center", va="center", size=8, color=colour)
    axes.set_xticks(range(len(tokens)), [visible_token(token) for token in tokens], size=8.5, weight="bold")
    names = ["embedding", *[f"block {i}" for i in range(1, len(said))]]
    axes.set_yticks(range(len(said)), names, size=9)
    axes.set(xlabel="token just read", ylabel="read off after", title=title)
    bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02)
    bar.set_label("probability")
    bar.outline.set_visible(False)
    return figure


def where_the_parameters_are(parts: Mapping[str, Mapping[str, int]], title: str) -> Figure:
    """Shares of the parameters by part; one bar for each model."""
    figure, axes = plt.subplots(figsize=(7.5, 0.62 * len(parts) + 1.7))
    names = list(next(iter(parts.values())))
    left = dict.fromkeys(parts, 0.0)
    for name, colour in zip(names, (ORANGE, BLUE, GREEN, GREY), strict=False):
        widths = [100 * counts[name] / sum(counts.values()) for counts in parts.values()]
        axes.barh(list(parts), widths, left=list(left.values()), color=colour, height=0.62, label=name)
        for row, (model, width) in enumerate(zip(parts, widths, strict=True)):
            if width > 7:
                axes.text(left[model] + width / 2, row, f"{width:.0f} %", ha="center", va="center", color="white")
            left[model] += width
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="share of the parameters (%)", title=title)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=len(names))
    return figure
