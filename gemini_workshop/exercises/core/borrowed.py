"""Find out whether an answer is the package's own function in disguise.

After a failed check the name of an exercise stands for the package's function, so that a notebook runs on. That
function, imported, renamed, wrapped or built upon, is nobody's answer. What counts is whether its code runs.
"""

import inspect
import sys
import time
from collections.abc import Callable
from types import CodeType, FrameType, FunctionType
from typing import Any

from gemini_workshop.exercises.core.attempt import Attempt
from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.modules import drawn_weights

LOOK_SECONDS = 1.0
_OURS = inspect.unwrap(drawn_weights).__code__


def is_borrowed(exercise: Exercise, answer: Any, cases: list[Arguments]) -> bool:
    """Whether calling an answer runs the code of the exercise's reference."""
    if answer is exercise.reference:
        return True
    wanted = _codes(exercise.reference)
    seen = False

    def look(frame: FrameType, event: str, _: Any) -> None:
        nonlocal seen
        seen = seen or (event == "call" and frame.f_code in wanted and not _is_for_comparison(frame))

    attempt = Attempt(_watched(exercise.as_function(answer), look))
    begun = time.monotonic()
    for case in cases:
        attempt(*case)
        if seen or time.monotonic() - begun > LOOK_SECONDS:
            break
    return seen


def sentence(exercise: Exercise, answer: Any) -> str:
    """What to say to someone whose answer it is."""
    if answer is exercise.reference:
        return (
            f"`{exercise.title}` is the package's own here: it stands in until yours passes. "
            "Run the cell with your definition again (does it show an error?), then this one."
        )
    return f"This runs the package's own `{exercise.title}`. Write its steps yourself: that is the exercise."


def _watched(function: Callable[..., Any], look: Callable[[FrameType, str, Any], None]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        before = sys.getprofile()
        sys.setprofile(look)
        try:
            return function(*args)
        finally:
            sys.setprofile(before)

    return call


def _codes(reference: Callable[..., Any]) -> set[CodeType]:
    parts = vars(reference).values() if isinstance(reference, type) else [reference]
    return {inspect.unwrap(part).__code__ for part in parts if isinstance(part, FunctionType)}


def _is_for_comparison(frame: FrameType | None) -> bool:
    """Whether the check itself builds the reference, to draw weights for it."""
    while frame is not None and frame.f_code is not _OURS:
        frame = frame.f_back
    return frame is not None
