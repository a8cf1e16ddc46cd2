"""From an image or a recording to what a model's embedders take: patches with their places, and frames.

image    3 colors; shrunk, if it is too large; its edge repeated up to whole patches; patches
audio    8,000 samples a second; log-mel bands; neighboring frames side by side
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.config import MediaConfig
from gemini_workshop.data.media.spectrogram import EIGHT_KILOHERTZ, log_mel_frames
from gemini_workshop.data.media.wav import resample
from gemini_workshop.errors import DataError
from gemini_workshop.models.multimodal.patches import patch_places, patchify, stack_frames

STACKED_FRAMES = 4  # 40 ms
MEL_MIDDLE, MEL_SPREAD = -2.0, 3.0  # so that silence is about -1.6 and the loudest bands of speech about 1.5


def prepare_image(
    image: Float[Tensor, "channels height width"], media: MediaConfig
) -> tuple[Float[Tensor, "N P"], Int[Tensor, "N 2"]]:
    """The patches of an image, row by row, and the row and column of each.

    Args:
        image: numbers from 0 to 1, of 1 or 3 channels.

    Raises:
        DataError: it is empty, has another number of channels, or numbers that are not from 0 to 1.
    """
    _check_image(image)
    image = image.expand(3, -1, -1)
    largest = media.patch_pixels * media.max_rows
    if max(image.shape[1:]) > largest:
        image = _shrunk(image, largest)
    height, width = image.shape[1:]
    padded = F.pad(image, (0, -width % media.patch_pixels, 0, -height % media.patch_pixels), mode="replicate")
    rows, columns = (side // media.patch_pixels for side in padded.shape[1:])
    return patchify(padded, media.patch_pixels), patch_places(rows, columns)


def prepare_audio(samples: Float[Tensor, " samples"], sample_rate: int, media: MediaConfig) -> Float[Tensor, "M F"]:
    """The frames of a recording, each of 40 ms.

    Args:
        samples: numbers from -1 to 1.

    Raises:
        DataError: it is shorter than a frame of the spectrogram, holds numbers that are not finite, or the model takes
            other frames.
    """
    if media.frame_dim != STACKED_FRAMES * EIGHT_KILOHERTZ.num_bands:
        raise DataError(
            f"frame_dim={media.frame_dim}, but a frame holds {STACKED_FRAMES} times {EIGHT_KILOHERTZ.num_bands} bands. "
            f"Set frame_dim={STACKED_FRAMES * EIGHT_KILOHERTZ.num_bands}."
        )
    if not bool(samples.isfinite().all()):
        raise DataError("The audio holds numbers that are not finite. Give samples from -1 to 1.")
    samples = resample(samples, sample_rate, EIGHT_KILOHERTZ.sample_rate)
    bands = (log_mel_frames(samples, EIGHT_KILOHERTZ) - MEL_MIDDLE) / MEL_SPREAD
    return stack_frames(bands.float(), STACKED_FRAMES)


def _check_image(image: Tensor) -> None:
    if image.shape[0] not in (1, 3) or image.numel() == 0:
        raise DataError(
            f"An image of {' x '.join(map(str, image.shape))} numbers cannot be read. "
            "Give 1 (grey) or 3 (color) channels, and at least one pixel."
        )
    low, high = float(image.min()), float(image.max())
    if not 0 <= low <= high <= 1:
        raise DataError(f"The image's numbers go from {low:g} to {high:g}. They must lie in [0, 1]: scale them first.")


def _shrunk(image: Tensor, largest: int) -> Tensor:
    """The image with its longer side of ``largest`` pixels, and the shorter one in proportion."""
    factor = largest / max(image.shape[1:])
    size = [max(1, round(side * factor)) for side in image.shape[1:]]
    smaller = F.interpolate(image[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
    return torch.clamp(smaller, 0, 1)
