"""What the tests of the tasks share: which tasks there are here, and what is inside a prompt."""

import os

import pytest

from gemini_workshop.data.corpora import MIRROR_VARIABLE
from gemini_workshop.data.media.documents import AudioPart, ImagePart, TextPart, VideoPart
from gemini_workshop.data.tasks import task_names, tasks

HERE = list(tasks())
ALWAYS = [
    *("digits", "digit-questions", "dial-tones", "image-sound", "compare-images"),
    *("films", "stories", "needle", "arithmetic"),
]
needs_mirror = pytest.mark.skipif(not os.environ.get(MIRROR_VARIABLE), reason=f"{MIRROR_VARIABLE} is not set")
each_task = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.skipif(name not in HERE, reason=f"{name} is not here"))
        for name in task_names()
    ],
)


def text_of(example):
    return "\n".join(part.text for part in example.prompt if isinstance(part, TextPart))


def tensors_of(example):
    """The numbers of every image, audio and video."""
    for part in example.prompt:
        match part:
            case ImagePart():
                yield part.image
            case AudioPart():
                yield part.samples
            case VideoPart():
                yield part.frames


def examples(task, split, num_examples, seed=0):
    return [task.example(i, split, seed) for i in range(num_examples)]
