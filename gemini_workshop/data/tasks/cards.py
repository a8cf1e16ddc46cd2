"""What a task is, as a row of a table, and its examples as text."""

import math
from collections.abc import Iterable

from gemini_workshop.data.media.documents import AudioPart, ImagePart, Part, TextPart, VideoPart
from gemini_workshop.data.tasks.example import Example, Task

PATCH_PIXELS = 8
SECONDS_PER_TOKEN = 0.04
NUM_SAMPLED = 20
ROW = "{:<16} {:>8} {:>8}  {}"


def tasks_table(tasks: Iterable[Task]) -> str:
    """Name, number of held-out examples, mean tokens of media, what is asked; below it the source and its licence."""
    lines = [ROW.format("name", "held out", "tokens", "about")]
    for task in tasks:
        lines += [ROW.format(task.name, f"{len(task):,}", f"{mean_media_tokens(task):.0f}", task.about)]
        lines += [ROW.format("", "", "", task.source)]
    return "\n".join(lines)


def mean_media_tokens(task: Task) -> float:
    """How many tokens the images, audio and videos of a held-out example take; the mean over the first twenty."""
    examples = [task.example(i, "heldout") for i in range(min(NUM_SAMPLED, len(task)))]
    return sum(media_tokens(part) for example in examples for part in example.prompt) / len(examples)


def media_tokens(part: Part) -> int:
    """One token for each patch of 8 x 8 pixels of an image or frame, and for each 40 ms of audio; none for text."""
    match part:
        case TextPart():
            return 0
        case AudioPart():
            return math.ceil(len(part.samples) / part.sample_rate / SECONDS_PER_TOKEN)
        case ImagePart():
            return _patches(*part.image.shape[-2:])
        case VideoPart():
            return len(part.frames) * _patches(*part.frames.shape[-2:])


def show(example: Example) -> str:
    """The prompt, with marks in place of media, and the answer."""
    return "\n".join([*map(shown, example.prompt), f"-> {example.answer}"])


def shown(part: Part) -> str:
    """A part as text: a medium as a mark with its size."""
    match part:
        case TextPart():
            return part.text
        case AudioPart():
            return f"[audio {len(part.samples) / part.sample_rate:.2f} s]"
        case ImagePart():
            return f"[image {_size(part.image.shape)}]"
        case VideoPart():
            return f"[video {len(part.frames)} frames of {_size(part.frames.shape)}]"


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[-1]}x{shape[-2]}"


def _patches(height: int, width: int) -> int:
    return math.ceil(height / PATCH_PIXELS) * math.ceil(width / PATCH_PIXELS)
