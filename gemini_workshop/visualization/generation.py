"""Figures about decoding: what is left to choose from, how dull or wild a text is, and what it costs to write it."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gemini_workshop.visualization.attention import visible_token
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import (
    BLACK,
    BLUE,
    COLORS,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    ink,
    label_line,
    spread_labels,
)

WAYS = {  # one color each, in all figures
    "stories": BLACK,
    "greedy": RED,
    "beams": PURPLE,
    "sampled": ORANGE,
    "top-k": GREY,
    "top-p": GREEN,
    "min-p": BLUE,
}


def distributions(probabilities: Mapping[str, Float[Tensor, " V"]], names: Sequence[str], title: str) -> Figure:
    """Probabilities of the same tokens under several settings, one panel for each."""
    figure, panels = plt.subplots(1, len(probabilities), figsize=(7.5, 3.2), sharey=True, sharex=True, squeeze=False)
    labels = [visible_token(name) for name in names]
    for axes, (setting, values) in zip(panels[0], probabilities.items(), strict=True):
        axes.barh(range(len(labels)), values.tolist(), color=BLUE, height=0.65)
        axes.set_title(setting, fontsize=11, weight="normal")
        axes.set_xlabel("probability")
    panels[0][0].set_yticks(range(len(labels)), labels)
    panels[0][0].invert_yaxis()
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    return describe(figure, f"Bars for {', '.join(labels)}.")


def kept_by_entropy(entropy: Float[Tensor, " N"], kept: Mapping[str, Int[Tensor, " N"]], title: str) -> Figure:
    """How many tokens each filter keeps at each place of a text, over how unsure the model is there."""
    figure, axes = plt.subplots(figsize=(7.5, 4.0))
    for name, numbers in kept.items():
        color = WAYS[name.split(",")[0]]
        axes.scatter(entropy.tolist(), numbers.tolist(), s=9, color=color, alpha=0.45, edgecolor="none")
        last = int(entropy.argmax())
        label_line(axes, float(entropy[last]), float(numbers[last]), name, color)
    axes.set(xlabel="entropy of the next token (nats)", ylabel="tokens kept (log scale)", yscale="log", title=title)
    axes.set_xlim(right=1.25 * float(entropy.max()))
    return describe(figure, f"One point per place of the text for each of {', '.join(kept)}.")


def surprise(traces: Mapping[str, Float[Tensor, " T"]], title: str) -> Figure:
    """How much each token of a text surprises the model, for texts written in different ways."""
    figure, panels = plt.subplots(len(traces), 1, figsize=(7.5, 1.5 * len(traces) + 0.8), sharex=True, sharey=True)
    for axes, (name, nats) in zip(panels, traces.items(), strict=True):
        axes.bar(range(len(nats)), nats.tolist(), color=WAYS[name], width=0.8)
        axes.text(0.99, 0.92, name, transform=axes.transAxes, ha="right", va="top", color=ink(WAYS[name]))
    figure.supylabel("surprise (nats)", fontsize=11)
    panels[-1].set_xlabel("token of the continuation")
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    return describe(figure, f"A bar for each token, one panel for each of {', '.join(traces)}.")


def dull_and_wild(points: Mapping[str, Sequence[tuple[float, float]]], title: str) -> Figure:
    """How varied texts are over how much they surprise the model; one point per seed, one color per way of writing."""
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    for (name, seeds), color in zip(points.items(), _colors(points), strict=True):
        x, y = zip(*seeds, strict=True)
        axes.scatter(x, y, color=color, s=45, edgecolor="white", zorder=3)
        place = (sum(x) / len(x), max(y) if name != "stories" else min(y))
        axes.annotate(
            name,
            place,
            xytext=(0, 8 if name != "stories" else -18),
            textcoords="offset points",
            ha="center",
            color=ink(color),
            weight="bold" if name == "stories" else "normal",
        )
    axes.set(
        xlabel="surprise of the model (nats per token)", ylabel="distinct pairs of words (distinct-2)", title=title
    )
    axes.margins(x=0.12, y=0.15)
    return describe(figure, f"Points for {', '.join(points)}.")


def _colors(names: Mapping[str, object]) -> list[str]:
    return [WAYS[name.split(",")[0]] for name in names]


def tokens_read(counts: Mapping[str, Sequence[int]], title: str) -> Figure:
    """How many tokens went through the model in all, over the number of new ones."""
    figure, axes = plt.subplots(figsize=(7.5, 3.4))
    for (name, numbers), color in zip(counts.items(), COLORS[3::-3], strict=False):
        axes.plot(range(1, len(numbers) + 1), numbers, color=color)
        label_line(axes, float(len(numbers)), float(numbers[-1]), name, color)
    longest = max(map(len, counts.values()))
    axes.set(xlabel="new tokens", ylabel="tokens read by the model", title=title, xlim=(0, 1.25 * longest))
    axes.set_ylim(bottom=0)
    return describe(figure, f"A line for each of {', '.join(counts)}.")


def intensity(
    num_tokens: Sequence[int], intensities: Mapping[str, Sequence[float]], balance: tuple[float, str], title: str
) -> Figure:
    """Operations per byte read from memory, over the tokens in a pass; above the line, computing is what takes time."""
    figure, axes = plt.subplots(figsize=(7.5, 3.8))
    level, name = balance
    axes.axhline(level, color=BLACK, linestyle=":", linewidth=1.5)
    axes.annotate(name, (num_tokens[0], level), xytext=(0, 4), textcoords="offset points", color=BLACK)
    ends = [10**height for height in spread_labels([math.log10(line[-1]) for line in intensities.values()], apart=0.35)]
    for (label, values), end, color in zip(intensities.items(), ends, COLORS, strict=False):
        axes.plot(num_tokens, values, color=color, marker="o", markersize=4)
        label_line(axes, float(num_tokens[-1]), end, label, color)
    axes.set(xscale="log", yscale="log", xlabel="tokens in one pass", ylabel="operations per byte", title=title)
    axes.set_xlim(right=30 * num_tokens[-1])
    axes.set_xticks(num_tokens[::2], [f"{number:,}" for number in num_tokens[::2]])
    axes.minorticks_off()
    return describe(figure, f"A rising line for each of {', '.join(intensities)}, and a dotted level: {name}.")


def against_the_model(
    wanted: Sequence[float], found: Mapping[str, Sequence[float]], names: Sequence[str], title: str
) -> Figure:
    """How often each token came up, beside the probability that the model gives it."""
    figure, axes = plt.subplots(figsize=(7.5, 3.2))
    columns = {"the model": wanted, **found}
    width = 0.8 / len(columns)
    for i, ((name, values), color) in enumerate(zip(columns.items(), (BLACK, GREEN, RED, ORANGE), strict=False)):
        places = [x + (i - (len(columns) - 1) / 2) * width for x in range(len(values))]
        axes.bar(places, values, 0.92 * width, color=color, label=name)
    axes.set_xticks(range(len(names)), [visible_token(name) for name in names])
    axes.set(ylabel="how often it comes up", title=title)
    axes.legend()
    return describe(figure, f"For each token a bar for each of {', '.join(columns)}.")


def sampling_explorer(
    before: Float[Tensor, " shown"],
    after: Float[Tensor, " shown"],
    names: Sequence[str],
    texts: Sequence[str],
    title: str,
) -> Figure:
    """The next token's probabilities before and after all steps, and texts that were sampled with these settings."""
    figure, (axes, page) = plt.subplots(1, 2, figsize=(10.0, 4.2), width_ratios=(1, 1.4))
    labels = [visible_token(name) for name in names]
    axes.barh(range(len(labels)), before.tolist(), color=GREY, height=0.7, alpha=0.5)
    axes.barh(range(len(labels)), after.tolist(), color=BLUE, height=0.4)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set(xlabel="probability (grey: before, blue: after)", title=title, xlim=(0, 1))
    _write(page, texts)
    return describe(figure, f"Two bars for each of {', '.join(labels)}, and beside them {len(texts)} sampled texts.")


def _write(page: Axes, texts: Sequence[str]) -> None:
    page.set_axis_off()
    for i, text in enumerate(texts):
        page.text(0.02, 0.98 - i / len(texts), text, va="top", fontsize=9.5, transform=page.transAxes)
