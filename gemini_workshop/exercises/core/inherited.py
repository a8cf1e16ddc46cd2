"""Mistakes of smaller exercises inside a larger one: the reference, with one of its parts replaced by a wrong one."""

import inspect
import types
from collections.abc import Callable
from typing import Any

from gemini_workshop.exercises.core.exercise import Exercise, Misconception
from gemini_workshop.exercises.core.loops import with_names


def inherited(exercise: Exercise) -> dict[str, Misconception]:
    """What the exercise would do if one of its parts were written wrongly, by "02.2 not scaled"."""
    return {
        f"{part.id} {name}": Misconception(
            mistake.says, with_part(that_calls(exercise, part.title), part.title, mistake.wrong)
        )
        for part in exercise.parts
        for name, mistake in part.misconceptions.items()
    }


def that_calls(exercise: Exercise, name: str) -> Callable[..., Any]:
    """The right code in which a part is called by its name: where ``plain`` spells the part out, the reference."""
    plain = exercise.plain or exercise.reference
    return plain if any(name in _names_in(function.__code__) for function in _functions(plain)) else exercise.reference


def _functions(whole: Callable[..., Any]) -> list[types.FunctionType]:
    values = vars(whole).values() if isinstance(whole, type) else [inspect.unwrap(whole)]
    return [inspect.unwrap(each) for each in values if isinstance(each, types.FunctionType)]


def _names_in(code: types.CodeType) -> set[str]:
    inner = (_names_in(each) for each in code.co_consts if isinstance(each, types.CodeType))
    return set(code.co_names).union(*inner)


def with_part(whole: Callable[..., Any], name: str, part: Callable[..., Any]) -> Callable[..., Any]:
    """A function or class that finds another thing under a global name, in its own body and nowhere else."""
    if not isinstance(whole, type):
        return with_names(whole, {name: part})
    methods = {key: value for key, value in vars(whole).items() if isinstance(value, types.FunctionType)}
    return type(whole.__name__, (whole,), {key: with_names(method, {name: part}) for key, method in methods.items()})
