"""Figures about cheaper attention: traffic, windows, sparse patterns, how far a change reaches, and caches."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import BLUE, COLORS, GREY, HIDDEN, ink, label_line, spread_labels

STEPS = {"itself and directly": BLUE, "in two layers": "#a6cee3", "not in two layers": "white", "later": HIDDEN}


def curves(
    x: Sequence[int | float],
    lines: Mapping[str, Sequence[int | float]],
    title: str,
    *,
    labels: tuple[str, str],
    is_log: tuple[bool, bool] = (True, True),
    levels: Mapping[str, float] | None = None,
) -> Figure:
    """One line for each way to compute something.

    Args:
        labels: of the two axes, across and up.
        is_log: which of the two axes are logarithmic.
        levels: heights to mark with a broken line, by name.
    """
    figure, axes = plt.subplots(figsize=(7.8, 4.0))
    for line, color in zip(lines.values(), COLORS, strict=False):
        axes.plot(x, line, color=color, marker="o", markersize=4)
    axes.set(xlabel=labels[0], ylabel=labels[1], title=title)
    if is_log[0]:
        axes.set_xscale("log", base=2)
        axes.set_xlim(x[0] * 0.85, x[-1] * (x[-1] / x[0]) ** 0.5)
    else:
        axes.set_xlim(x[0], x[-1] + 0.5 * (x[-1] - x[0]))
    if is_log[1]:
        axes.set_yscale("log")
    else:
        heights = [height for line in lines.values() for height in line]
        axes.set_ylim(bottom=min(0.0, *heights) - 0.05 * max(heights))
    for name, level in (levels or {}).items():
        axes.hlines(level, x[0], x[-1], color=GREY, linewidth=1.2, linestyle="--")
        place: dict[str, Any] = {"xytext": (3, 3), "textcoords": "offset points", "size": 9, "color": ink(GREY)}
        axes.annotate(name, (x[0], level), **place)
    _name_at_the_ends(axes, x[-1], lines)
    axes.set_xticks(list(x[:: max(1, len(x) // 6)]), [_short(value) for value in x[:: max(1, len(x) // 6)]])
    axes.minorticks_off()
    marked = f" A broken line marks {', '.join(levels)}." if levels else ""
    return describe(figure, f"A line with points for each of {', '.join(lines)}.{marked}")


def _name_at_the_ends(axes: Any, x: int | float, lines: Mapping[str, Sequence[int | float]]) -> None:
    """Write each line's name beside its last point, moved up where two ends are close."""
    to_pixels, to_data = axes.transData, axes.transData.inverted()
    heights = [to_pixels.transform((x, line[-1]))[1] for line in lines.values()]
    for (name, _), color, height in zip(lines.items(), COLORS, spread_labels(heights, apart=17.0), strict=False):
        label_line(axes, float(x), float(to_data.transform((to_pixels.transform((x, 1))[0], height))[1]), name, color)


def _short(number: int | float) -> str:
    """1048576 as 1M, 2048 as 2k, and smaller numbers as they are."""
    for unit, size in (("M", 2**20), ("k", 2**10)):
        if number >= size and number % size == 0:
            return f"{number / size:g}{unit}"
    return f"{number:g}"


def patterns(masks: Mapping[str, Bool[Tensor, "blocks blocks"]], title: str) -> Figure:
    """Which block of queries sees which block of keys: in one layer, in two, or not even then."""
    figure, all_axes = plt.subplots(1, len(masks), figsize=(2.35 * len(masks) + 0.3, 3.3), sharey=True)
    for axes, (name, mask) in zip(np.atleast_1d(all_axes), masks.items(), strict=True):
        direct, num_blocks = mask.int(), len(mask)
        state = np.where((direct @ direct).numpy() > 0, 1, 2)
        state[mask.numpy()] = 0
        state[np.triu_indices(num_blocks, 1)] = 3
        axes.imshow(state, cmap=ListedColormap(list(STEPS.values())), vmin=0, vmax=3)
        axes.set_title(name, size=10)
        axes.set(xlabel="block of keys", xticks=[0, num_blocks - 1], yticks=[0, num_blocks - 1])
    np.atleast_1d(all_axes)[0].set_ylabel("block of queries")
    handles = [plt.Rectangle((0, 0), 1, 1, facecolor=color, edgecolor=GREY) for color in STEPS.values()]
    figure.legend(handles, list(STEPS), ncols=4, loc="outside lower center", fontsize=9)
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=13)
    return describe(figure, f"A map each for {', '.join(masks)}: {', '.join(STEPS)}.")


def reach(change: Float[Tensor, "L T"], changed: int, window_tokens: int, title: str) -> Figure:
    """How much the stream after each block changes, on a logarithmic scale, when one token is exchanged."""
    figure, axes = plt.subplots(figsize=(8.0, 3.4))
    logs = np.ma.masked_invalid(np.where(change.numpy() > 0, np.log10(np.maximum(change.numpy(), 1e-12)), np.nan))
    axes.set_facecolor(HIDDEN)
    num_blocks, num_tokens = change.shape
    image = axes.imshow(logs, aspect="auto", vmin=-6, vmax=2, extent=(-0.5, num_tokens - 0.5, num_blocks + 0.5, 0.5))
    for block in range(1, num_blocks + 1):
        axes.plot([changed + block * (window_tokens - 1) + 0.5] * 2, [block - 0.5, block + 0.5], color="black")
    axes.set(xlabel="token", ylabel="block", yticks=range(1, num_blocks + 1), title=title)
    axes.invert_yaxis()
    bar = figure.colorbar(image, ax=axes, ticks=[-6, -4, -2, 0, 2])
    bar.ax.set_yticklabels(["10⁻⁶", "10⁻⁴", "0.01", "1", "100"])
    bar.set_label("change of the stream (norm)")
    bar.outline.set_visible(False)
    return describe(
        figure,
        f"A map of {num_blocks} blocks, the lowest first: token {changed} was exchanged, and what changes is a "
        "staircase that gets one window wider with each block and fades to its right. Grey: unchanged.",
    )


def bars(values: Mapping[str, Sequence[float]], title: str, label: str) -> Figure:
    """One bar for each name, as long as the mean of its values, and a point for each of them."""
    figure, axes = plt.subplots(figsize=(7.8, 0.9 + 0.5 * len(values)))
    for i, each in enumerate(values.values()):
        axes.barh(i, float(np.mean(each)), color=BLUE if i == 0 else COLORS[1], height=0.6)
        axes.scatter(each, [i] * len(each), color="black", s=14, zorder=3)
        place: dict[str, Any] = {"xytext": (9, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(f"{np.mean(each):.1f}", (max(each), i), **place)
    axes.set_yticks(range(len(values)), list(values))
    axes.set(xlabel=label, title=title)
    axes.set_xlim(0, 1.12 * max(max(each) for each in values.values()))
    axes.invert_yaxis()
    return describe(figure, f"A bar for each of {', '.join(values)}, with a point for each set of stories.")
