"""Mistakes of smaller exercises inside a larger one: the reference, with one of its parts replaced by a wrong one."""

import types
from collections.abc import Callable
from typing import Any

from gemini_workshop.exercises.core.exercise import Exercise, Misconception


def inherited(exercise: Exercise) -> dict[str, Misconception]:
    """What the exercise would do if one of its parts were written wrongly, by "02.2 not scaled"."""
    return {
        f"{part.id} {name}": Misconception(
            mistake.says, with_part(exercise.plain or exercise.reference, part.title, mistake.wrong)
        )
        for part in exercise.parts
        for name, mistake in part.misconceptions.items()
    }


def with_part(whole: Callable[..., Any], name: str, part: Callable[..., Any]) -> Callable[..., Any]:
    """A function or class that finds another thing under a global name, in its own body and nowhere else."""
    if not isinstance(whole, type):
        return _rebound(whole, name, part)
    methods = {key: value for key, value in vars(whole).items() if isinstance(value, types.FunctionType)}
    return type(whole.__name__, (whole,), {key: _rebound(method, name, part) for key, method in methods.items()})


def _rebound(function: Any, name: str, part: Callable[..., Any]) -> Callable[..., Any]:
    function = getattr(function, "__wrapped__", function)
    names = {**function.__globals__, name: part}
    copy = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy
