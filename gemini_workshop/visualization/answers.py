"""A figure of questions with media, and what a model answered to each."""

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gemini_workshop.data.media.documents import AudioPart, ImagePart, Part, TextPart, VideoPart
from gemini_workshop.data.media.spectrogram import EIGHT_KILOHERTZ, log_mel_frames
from gemini_workshop.data.media.wav import resample
from gemini_workshop.data.tasks.example import Example
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import BLUE, RED, ink
from gemini_workshop.visualization.tokens import drawable

FRAMES_SHOWN = 4
GAP = 1  # pixels between the frames of a video


def asked_and_answered(answers: Sequence[tuple[Example, str]], name: str, columns: int = 4) -> Figure:
    """Each example as an image or a spectrogram, its question above, the answer below; in red where it is wrong."""
    num_right = sum(example.answer == given for example, given in answers)
    rows = -(-len(answers) // columns)
    figure = plt.figure(figsize=(2.5 * columns, 2.6 * rows + 0.6), layout="constrained")
    for cell, (example, given) in zip(figure.subfigures(rows, columns, squeeze=False).flat, answers, strict=False):
        media = [part for part in example.prompt if not isinstance(part, TextPart)]
        for axes, part in zip(cell.subplots(1, len(media), squeeze=False).flat, media, strict=True):
            _show(axes, part)
        question = " ".join(part.text for part in example.prompt if isinstance(part, TextPart))
        cell.suptitle("\n".join(textwrap.wrap(drawable(question), 28)), size=9)
        is_right = given == example.answer
        said = drawable(given if is_right else f"{given} (right: {example.answer})")
        cell.supxlabel("\n".join(textwrap.wrap(said, 26)), size=11, weight="bold", color=ink(BLUE if is_right else RED))
    title = f"{name} answers {num_right} of {len(answers)} held-out examples, the first of each task"
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    return describe(figure, "Images and spectrograms, each with a question above and an answer below.")


def _show(axes: Axes, part: Part) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    match part:
        case AudioPart(samples=samples, sample_rate=rate):
            frames = log_mel_frames(resample(samples, rate, EIGHT_KILOHERTZ.sample_rate).float(), EIGHT_KILOHERTZ)
            axes.imshow(frames.T.numpy(), origin="lower", aspect="auto")
        case ImagePart(image=image):
            axes.imshow(image.expand(3, -1, -1).movedim(0, 2).numpy())
        case VideoPart(frames=frames):
            chosen = frames[torch.linspace(0, len(frames) - 1, min(FRAMES_SHOWN, len(frames))).round().long()]
            spaced = torch.nn.functional.pad(chosen.expand(-1, 3, -1, -1), (GAP, GAP, GAP, GAP), value=1.0)
            axes.imshow(torch.cat(list(spaced), dim=2).movedim(0, 2).numpy())
