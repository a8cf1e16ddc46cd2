"""Videos as frames: synthesised ones in which a handwritten digit moves, with a caption that says which and whither.

The caption cannot be told from any single frame, only from their order.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.data.corpora import find_corpus, find_edition
from gemini_workshop.data.media.images import CaptionedImages, load_images
from gemini_workshop.errors import DataError

FRAMES_PER_SECOND = 4.0
NUM_FRAMES = 8
FRAME_PIXELS = 24
MOTIONS = {  # rows, columns a step
    "moves to the right": (0, 1),
    "moves to the left": (0, -1),
    "moves up": (-1, 0),
    "moves down": (1, 0),
    "stays where it is": (0, 0),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class CaptionedVideos:
    """Videos of one size between 0 (black) and 1 (white), and what is seen."""

    videos: Float[Tensor, "videos frames channels height width"]
    captions: list[str]
    frames_per_second: float = FRAMES_PER_SECOND

    def __len__(self) -> int:
        """Number of videos."""
        return len(self.videos)

    def __getitem__(self, i: int) -> tuple[Float[Tensor, "frames channels height width"], str]:
        """A video and its caption."""
        return self.videos[i], self.captions[i]


def load_videos(name: str, size: str = "all") -> CaptionedVideos:
    """The videos of a corpus.

    Raises:
        DataError: there is no such corpus or size, or it holds no videos.
    """
    edition, _ = find_edition(find_corpus(name, "videos"), size)
    assert edition.num_items is not None
    return generate_moving_digits(edition.num_items)


def generate_moving_digits(
    num_videos: int, seed: int = 0, num_frames: int = NUM_FRAMES, frame_pixels: int = FRAME_PIXELS
) -> CaptionedVideos:
    """Videos of one digit each, wholly in sight in every frame. Video i depends on the seed and i alone.

    Raises:
        DataError: the frames are too small for the digit to move in.
    """
    digits = load_images("digits")
    digit_pixels = digits.images.shape[-1]
    if frame_pixels < digit_pixels + num_frames - 1:
        raise DataError(
            f"frame_pixels={frame_pixels} leaves no room for a digit of {digit_pixels} pixels to take {num_frames - 1} "
            f"steps. Choose frame_pixels >= {digit_pixels + num_frames - 1}."
        )
    videos = [_video(i, seed, digits, num_frames, frame_pixels) for i in range(num_videos)]
    return CaptionedVideos(
        videos=torch.stack([video for video, _ in videos]), captions=[caption for _, caption in videos]
    )


def move_digit(
    image: Float[Tensor, "channels size size"],
    motion: str,
    generator: torch.Generator,
    num_frames: int = NUM_FRAMES,
    frame_pixels: int = FRAME_PIXELS,
) -> Float[Tensor, "frames channels height width"]:
    """Frames in which an image moves, wholly in sight; where it begins and how fast it is are drawn."""
    size = image.shape[-1]
    room, num_steps = frame_pixels - size, num_frames - 1
    pixels_per_step = _draw(1, max(room // max(num_steps, 1), 1), generator)
    steps = [direction * pixels_per_step for direction in MOTIONS[motion]]
    ways = [step * num_steps for step in steps]
    row, column = (_draw(max(0, -way), room - max(0, way), generator) for way in ways)
    video = torch.zeros(num_frames, image.shape[0], frame_pixels, frame_pixels)
    for t in range(num_frames):
        top, left = row + t * steps[0], column + t * steps[1]
        video[t, :, top : top + size, left : left + size] = image
    return video


def _video(
    i: int, seed: int, digits: CaptionedImages, num_frames: int, frame_pixels: int
) -> tuple[Float[Tensor, "frames channels height width"], str]:
    generator = torch.Generator().manual_seed(seed * 1_000_003 + i)
    which = _draw(0, len(digits) - 1, generator)
    motion = list(MOTIONS)[_draw(0, len(MOTIONS) - 1, generator)]
    video = move_digit(digits.images[which], motion, generator, num_frames, frame_pixels)
    return video, f"a {int(digits.labels[which])} {motion}"


def _draw(low: int, high: int, generator: torch.Generator) -> int:
    """A whole number from ``low`` to ``high``, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))
