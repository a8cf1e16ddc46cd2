"""Videos of handwritten digits: which one moves, where it moves, and which of two comes first.

No single frame answers the last two: they are in the order of the frames.
"""

from collections.abc import Sequence

import torch

from gemini_workshop.data.media.documents import Part, TextPart, VideoPart
from gemini_workshop.data.media.video import FRAMES_PER_SECOND, MOTIONS, NUM_FRAMES, move_digit
from gemini_workshop.data.tasks.drawn import Draw, DrawnTask
from gemini_workshop.data.tasks.images import images_of
from gemini_workshop.data.tasks.words import WORDS

WHICH = ("Which digit is it?", "Which digit do you see?", "Which digit moves?")
WHERE = ("How does the digit move?", "What does the digit do?", "In which direction does it go?")
ORDER = ("Which digits do you see, in order?", "Which digit is first, and which then?", "Name the two digits in order.")
FIRST = ("Which digit is first?", "Which digit do you see at the beginning?")
LAST = ("Which digit is last?", "Which digit do you see at the end?")
STILL = "stays where it is"


class Films(DrawnTask):
    """Eight frames of one moving digit, or of one digit and then another."""

    def __init__(self) -> None:
        super().__init__("films", "a digit moves, or two follow each other: which, where, in which order?", ("digits",))

    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """One of three questions."""
        kind = draw.random.choice(("which", "where", "order"))
        return _order(draw) if kind == "order" else _moving(kind, draw)


def _moving(kind: str, draw: Draw) -> tuple[Sequence[Part], str]:
    digit, motion = draw.random.randrange(10), draw.random.choice(list(MOTIONS))
    frames = _shots(digit, motion, NUM_FRAMES, draw)
    asked, other = (WHICH, WORDS[digit]), (WHERE, motion)
    if kind == "where":
        asked, other = other, asked
    draw.ask_more(other)
    return (_video(frames), TextPart(text=draw.phrase(asked[0]))), asked[1]


def _order(draw: Draw) -> tuple[Sequence[Part], str]:
    first, then = draw.random.sample(range(10), 2)
    halves = [_shots(digit, STILL, NUM_FRAMES // 2, draw) for digit in (first, then)]
    question = TextPart(text=draw.phrase(ORDER))
    draw.ask_more((FIRST, WORDS[first]), (LAST, WORDS[then]))
    return (_video(torch.cat(halves)), question), f"{WORDS[first]} then {WORDS[then]}"


def _shots(digit: int, motion: str, num_frames: int, draw: Draw) -> torch.Tensor:
    image = images_of("digits", draw.split).some(digit, draw).image
    return move_digit(image, motion, draw.generator, num_frames)


def _video(frames: torch.Tensor) -> VideoPart:
    return VideoPart(frames=frames, frames_per_second=FRAMES_PER_SECOND)
