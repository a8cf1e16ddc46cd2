"""Figures about tokenization: texts in colored tokens, compression, losses, and embeddings that never learned."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    ink,
    label_line,
    spread_labels,
)

TINTS = ("#cfe3f2", "#f9e3b8", "#c7ead9", "#f6cdb2", "#ecd5e3")  # light enough for black text
LETTER, LINE, GAP = 0.08, 0.3, 0.075  # inches: a letter's width, a line's height, between tokens
NAME_WIDTH, TEXT_WIDTH = 1.75, 7.4  # inches: of the names at the left, and of the text


def tokenized(rows: Mapping[str, Sequence[bytes]], title: str) -> Figure:
    """A text once for each tokenizer, each token in a box of its own; the number of tokens beside the name.

    Args:
        rows: the bytes of each token, by the name of the tokenizer. What is not text is written in hexadecimal.
    """
    placed = {name: _placed([written(token) for token in tokens]) for name, tokens in rows.items()}
    num_lines = {name: 1 + max((line for _, line, _ in places), default=0) for name, places in placed.items()}
    height = LINE * (sum(num_lines.values()) + 0.6 * len(rows)) + 0.2
    figure, axes = plt.subplots(figsize=(NAME_WIDTH + TEXT_WIDTH, height + 0.35))
    top = 0.0
    for name, places in placed.items():
        axes.text(-0.1, top + LINE / 2, f"{name}\n{len(places)} tokens", ha="right", va="center", fontsize=9)
        for i, (x, line, text) in enumerate(places):
            box = {"boxstyle": "square,pad=0.12", "facecolor": TINTS[i % len(TINTS)], "edgecolor": "none"}
            y = top + LINE * (line + 0.5)
            axes.text(x, y, text, va="center", family="DejaVu Sans Mono", fontsize=9, bbox=box, parse_math=False)
        top += LINE * (num_lines[name] + 0.6)
    axes.set(xlim=(-NAME_WIDTH, TEXT_WIDTH), ylim=(top, -0.1), title=title)
    axes.axis("off")
    described = "; ".join(f"{name}: {len(places)} tokens" for name, places in placed.items())
    return describe(figure, f"The text in boxes of alternating colors, one for each token. {described}")


def written(token: bytes) -> str:
    r"""A token as a figure shows it: ␣ for a space, hexadecimal for what the font cannot draw.

    Example:
        >>> written(b" dog"), written("é".encode()), written(b"\xf0\x9f"), written(b"\n")
        ('␣dog', 'é', 'F0 9F', '↵')
    """
    text = token.decode("utf-8", errors="replace").replace(" ", "␣").replace("\n", "↵").replace("\t", "→")
    if "�" in text or not all(ord(character) in _drawable() for character in text):
        return token.hex(" ").upper()
    return text


def drawable(text: str) -> str:
    r"""A text as a figure can show it: with the escape of what the font cannot draw, and dollars that begin no formula.

    Example:
        >>> print(drawable("5 $ \x10"))
        5 \$ \x10
    """
    escaped = (c if ord(c) in _drawable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped).replace("$", r"\$")


@cache
def _drawable() -> frozenset[int]:
    """The code points that the font of the boxes has, but for control characters."""
    font = get_font(findfont(FontProperties(family="DejaVu Sans Mono")))
    return frozenset(code for code in font.get_charmap() if code >= ord(" "))


def _placed(texts: Sequence[str]) -> list[tuple[float, int, str]]:
    """Where each text begins and on which line, left to right, wrapped."""
    places, x, line = [], 0.0, 0
    for text in texts:
        width = LETTER * len(text) + GAP
        if x and x + width > TEXT_WIDTH:
            x, line = 0.0, line + 1
        places.append((x, line, text))
        x += width
    return places


def pair_counts(counts: Mapping[tuple[int, int], int], title: str) -> Figure:
    """The most frequent pairs of bytes, as bars."""
    pairs = sorted(counts, key=lambda pair: -counts[pair])[:10]
    figure, axes = plt.subplots(figsize=(6.5, 3.2))
    names = [" + ".join(written(bytes([byte])) for byte in pair) for pair in pairs]
    axes.barh(names, [counts[pair] for pair in pairs], color=BLUE, height=0.65)
    axes.set(xlabel="occurrences", title=title)
    axes.invert_yaxis()
    return describe(
        figure, "A bar for each of the ten most frequent pairs of bytes, the longest at the top; ␣ is a space."
    )


def compression(sizes: Sequence[int], lines: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Bytes per token over the size of the vocabulary, a line for each kind of text."""
    figure, axes = plt.subplots(figsize=(7.5, 4.0))
    colors = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
    heights = spread_labels([values[-1] for values in lines.values()], 0.22)
    for (name, values), color, height in zip(lines.items(), colors, heights, strict=False):
        axes.plot(sizes, values, "o-", color=color)
        label_line(axes, float(sizes[-1]), height, name, color)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set(xlabel="tokens in the vocabulary", ylabel="bytes per token", title=title, ylim=(0.8, None))
    axes.set_xlim(sizes[0] * 0.9, sizes[-1] * 2.6)
    return figure


def two_rankings(per_token: Mapping[str, float], per_byte: Mapping[str, float], title: str) -> Figure:
    """The same models by their loss per token and by their bits per byte."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4))
    for axes, values, label, color in zip(
        panels, (per_token, per_byte), ("nats per token", "bits per byte"), (GREY, BLUE), strict=True
    ):
        _bars(axes, values, color)
        best = min(values, key=values.__getitem__)
        axes.set(xlabel=label, title=f"lowest: {best}")
    panels[1].set_yticks([])
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=13)
    names = ", ".join(per_token)
    return describe(
        figure, f"A bar for each model, from the top: {names}. On the left they grow, on the right they shrink."
    )


def costs(values: Mapping[str, float], xlabel: str, title: str, line: tuple[float, str] | None = None) -> Figure:
    """A bar for each name; a dashed line for what guessing costs."""
    figure, axes = plt.subplots(figsize=(7.5, 1.2 + 0.42 * len(values)))
    _bars(axes, values, BLUE)
    if line is not None:
        axes.axvline(line[0], color=GREY, linestyle="--", linewidth=1.5)
        axes.annotate(
            line[1],
            (line[0], 0.5),
            xytext=(-5, 0),
            textcoords="offset points",
            color=ink(GREY),
            ha="right",
            va="center",
        )
    axes.set(xlabel=xlabel, title=title)
    return figure


def _bars(axes: Axes, values: Mapping[str, float], color: str) -> None:
    axes.barh(list(values), list(values.values()), color=color, height=0.62)
    for i, value in enumerate(values.values()):
        axes.annotate(f"{value:.1f}", (value, i), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, 1.18 * max(values.values()))
    axes.invert_yaxis()


def space_costs(without: Sequence[float], with_space: Sequence[float], title: str) -> Figure:
    """What the next word costs after a prompt, and after the same prompt with a space at its end."""
    figure, axes = plt.subplots(figsize=(5.2, 4.2))
    most = 1.05 * max(*without, *with_space)
    axes.plot([0, most], [0, most], color=GREY, linewidth=1.2)
    axes.annotate("equal", (0.82 * most, 0.77 * most), color=ink(GREY))
    axes.plot(without, with_space, "o", color=BLUE, alpha=0.6)
    axes.set(
        xlabel="bits of the next word",
        ylabel="bits after a trailing space",
        title=title,
        xlim=(0, most),
        ylim=(0, most),
    )
    return describe(
        figure, "A dot for each place in a story; all dots are above the line on which both would be equal."
    )


def embedding_norms(norms: Sequence[float], counts: Sequence[int], named: Mapping[int, str], title: str) -> Figure:
    """The length of each token's embedding over how often the token occurs.

    Args:
        named: tokens to name, by id.
    """
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    x = np.log2(1 + np.asarray(counts, float))
    axes.plot(x, norms, ".", color=BLUE, alpha=0.25, markersize=5)
    heights = spread_labels([norms[i] for i in named], 0.09)
    paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for (i, name), height in zip(named.items(), heights, strict=True):
        axes.plot(x[i], norms[i], "o", color=RED)
        place: dict[str, Any] = {
            "xytext": (9, 0),
            "textcoords": "offset points",
            "va": "center",
            "annotation_clip": False,
        }
        axes.annotate(name, (x[i], height), color=ink(RED), bbox=paper, **place)
    axes.set_ylim(None, max(*norms, *heights) + 0.12)
    ticks = [0, 1, 10, 100, 1000, 10000]
    axes.set_xticks(np.log2(1 + np.asarray(ticks, float)), [f"{tick:,}" for tick in ticks])
    axes.set(xlabel="occurrences in the stories", ylabel="norm of the embedding", title=title)
    return describe(
        figure, "A dot for each token. Most are in a cloud of small norms; a group that never occurs is far above it."
    )
