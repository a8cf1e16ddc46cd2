"""Figures about fusion: how an image is cut, one stream of text and media, and what an answer looks at in an image."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import torch
from jaxtyping import Bool, Float, Int
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from gemini_workshop.models.multimodal.patches import unpatchify
from gemini_workshop.visualization.diagrams import Arrow, Box, flow
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import BLUE, COLORS, GREEN, HIDDEN, ORANGE, PURPLE


def cuts(ways: Mapping[str, Float[Tensor, "N P"]], patch_pixels: int, title: str) -> Figure:
    """The patches of one grey image, a grid for each way to cut it, numbered in their order."""
    figure, panels = plt.subplots(1, len(ways), figsize=(4.0 * len(ways), 4.2), squeeze=False)
    for axes, (name, patches) in zip(panels[0], ways.items(), strict=True):
        side, gap = round(len(patches) ** 0.5), 0.2
        for n, patch in enumerate(unpatchify(patches[:, None], 1, patch_pixels)):
            left, top = (n % side) * (1 + gap), (n // side) * (1 + gap)
            axes.imshow(patch[0].numpy(), cmap="gray", vmin=0, vmax=1, extent=(left, left + 1, top + 1, top))
            axes.text(left + 0.5, top - 0.02, str(n), size=8, ha="center", va="bottom")
        end = side * (1 + gap) - gap
        axes.set(xlim=(-0.1, end + 0.1), ylim=(end + 0.1, -0.3), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_title(name, fontsize=11)
    figure.suptitle(title, x=0.01, ha="left", weight="bold", fontsize=13)
    return describe(figure, f"The patches of one image in a grid, each with its number, for each of {', '.join(ways)}.")


def one_stream() -> Figure:
    """Text, an image and audio on their way into one sequence of vectors."""
    boxes = [
        Box(name="image", at=(0, 0), color=ORANGE),
        Box(name="text", at=(2, 0), color=BLUE),
        Box(name="audio", at=(4, 0), color=GREEN),
        Box(name="patches", at=(0, 1.3), note="patchify", color=ORANGE),
        Box(name="frames", at=(4, 1.3), note="log_mel_frames", color=GREEN),
        Box(name="projection", at=(0, 2.6), note="one matrix", color=ORANGE),
        Box(name="embedding", at=(2, 2.6), note="a row per word", color=BLUE),
        Box(name="projection ", at=(4, 2.6), note="one matrix", color=GREEN),
        Box(name="one sequence of vectors", at=(2, 3.9), note="interleave", color=PURPLE, width=3.0, is_filled=True),
        Box(name="decoder", at=(2, 5.2), note="multimodal_mask", color=PURPLE, width=2.2),
    ]
    ways = (("image", "patches", "projection"), ("audio", "frames", "projection "))
    arrows = [Arrow(start=a, end=b) for way in ways for a, b in pairwise(way)]
    arrows += [Arrow(start=box, end="one sequence of vectors") for box in ("projection", "embedding", "projection ")]
    arrows += [Arrow(start="text", end="embedding"), Arrow(start="one sequence of vectors", end="decoder")]
    return flow(boxes, arrows, "After the projection, everything is a token")


def looked_at(
    images: Float[Tensor, "I 1 height width"],
    weights: Float[Tensor, "I rows columns"],
    captions: Sequence[str],
    title: str,
) -> Figure:
    """Images, and below each how much attention its patches get from the token that names it."""
    figure, grid = plt.subplots(2, len(images), figsize=(1.45 * len(images) + 0.9, 3.7), squeeze=False)
    height, width = images.shape[-2:]
    for i, (image, weight, caption) in enumerate(zip(images, weights, captions, strict=True)):
        for axes in grid[:, i]:
            axes.imshow(image[0].numpy(), cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0))
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        shown = grid[1, i].imshow(
            weight.numpy(),
            alpha=0.75,
            vmin=0,
            vmax=float(weights.max()),
            extent=(0, width, height, 0),
            interpolation="nearest",
        )
        grid[0, i].set_title(caption, fontsize=10, loc="center", weight="normal")
    bar = figure.colorbar(shown, ax=grid[1].tolist(), shrink=0.9)
    bar.set_label("attention weight")
    bar.outline.set_visible(False)
    figure.suptitle(title, x=0.01, ha="left", weight="bold", fontsize=13)
    return describe(
        figure,
        "Digits in grey; below each, the same digit under a map of its patches: the lighter, the more weight.",
    )


def waves(recordings: Mapping[str, Float[Tensor, " samples"]], sample_rate: int, title: str) -> Figure:
    """Recordings over time, one above the other."""
    figure, panels = plt.subplots(len(recordings), 1, figsize=(7.5, 1.5 * len(recordings) + 0.5), sharex=True)
    for axes, (name, samples), color in zip(panels, recordings.items(), COLORS, strict=False):
        axes.plot([1000 * i / sample_rate for i in range(len(samples))], samples, color=color, linewidth=1.5)
        axes.set(ylabel=name, yticks=[0], ylim=(-1, 1))
    panels[-1].set_xlabel("time (milliseconds)")
    figure.suptitle(title, x=0.01, ha="left", weight="bold", fontsize=13)
    return describe(figure, f"A wave each for {', '.join(recordings)}: they rise and fall at different times.")


def mask(may_attend: Bool[Tensor, "T S"], image_ids: Int[Tensor, " S"], tokens: Sequence[str], title: str) -> Figure:
    """Who may look at whom: blue where the key came before, orange where it comes later in the same image."""
    later = torch.ones_like(may_attend).triu(1)
    figure, axes = plt.subplots(figsize=(5.6, 5.0))
    kinds = may_attend.int() + (may_attend & later).int()
    axes.imshow(kinds.numpy(), cmap=ListedColormap([HIDDEN, BLUE, ORANGE]), vmin=0, vmax=2)
    places = [t for t in range(len(tokens)) if t == 0 or image_ids[t] != image_ids[t - 1] or image_ids[t] == 0]
    names = ["# …" if image_ids[t] else tokens[t] for t in places]
    axes.set_xticks(places, names, rotation=90, family="monospace", size=8)
    axes.set_yticks(places, names, family="monospace", size=8)
    axes.set(xlabel="key: the token looked at", ylabel="query: the token that looks", title=title)
    handles = [Rectangle((0, 0), 1, 1, facecolor=color) for color in (BLUE, ORANGE, HIDDEN)]
    names = ["itself and earlier", "later in the same image", "hidden"]
    figure.legend(handles, names, ncols=3, loc="outside lower center", fontsize=9)
    return describe(figure, "A map: a staircase of what came before, and a square in it for the image.")
