"""Figures of images, audio and video."""

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from gemini_workshop.visualization.theme import GREY


def image_grid(
    images: Float[Tensor, "I channels height width"], captions: Sequence[str], columns: int = 8, title: str = ""
) -> Figure:
    """Images with their captions below them."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(1.25 * columns, 1.5 * rows), squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes, image, caption in zip(grid.flat, images, captions, strict=False):
        _show(axes, image)
        axes.set_xlabel("\n".join(textwrap.wrap(caption, 16, max_lines=2, placeholder=" …")), size=8)
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    return figure


def mel_spectrogram(log_mel: Float[Tensor, "frames bands"], hop_seconds: float, title: str = "") -> Figure:
    """Audio as an encoder sees it: time to the right, mel bands upwards, loudness as color."""
    figure, axes = plt.subplots(figsize=(7.5, 3.2))
    end = len(log_mel) * hop_seconds
    image = axes.imshow(
        log_mel.T.numpy(), origin="lower", aspect="auto", extent=(0, end, 0, log_mel.shape[1]), interpolation="nearest"
    )
    axes.set(xlabel="time (seconds)", ylabel="mel band (low to high)", title=title)
    bar = figure.colorbar(image, ax=axes)
    bar.set_label("ln of the magnitude")
    bar.outline.set_visible(False)
    return figure


def video_strip(
    frames: Float[Tensor, "frames channels height width"], frames_per_second: float, title: str = ""
) -> Figure:
    """The frames of a video side by side, each with its time."""
    figure, strip = plt.subplots(1, len(frames), figsize=(1.15 * len(frames), 1.75), squeeze=False)
    for t, (axes, frame) in enumerate(zip(strip.flat, frames, strict=True)):
        _show(axes, frame)
        axes.set(xticks=[], yticks=[], xlabel=f"{t / frames_per_second:.2f} s")
        axes.spines[:].set(visible=True, color=GREY)
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    return figure


def _show(axes: Axes, image: Float[Tensor, "channels height width"]) -> AxesImage:
    pixels = image.detach().cpu().movedim(0, 2).numpy()
    return axes.imshow(np.squeeze(pixels, axis=2) if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
