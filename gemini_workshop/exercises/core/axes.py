"""What the sizes of a case are called in the lesson: the letters of the signature, and a class's own arguments."""

import inspect
from collections.abc import Iterator
from typing import Any, get_args

from torch import Tensor

from gemini_workshop.exercises.core.exercise import Arguments, Exercise


def names_of_sizes(exercise: Exercise, case: Arguments) -> dict[int, str]:
    """The name of each size of a case, such as {6: "D", 3: "T"}; sizes that two axes share are left out."""
    found: dict[int, set[str]] = {}
    for size, name in _named_sizes(exercise, case):
        found.setdefault(size, set()).add(name)
    return {size: names.pop() for size, names in found.items() if len(names) == 1 and size > 1}


def _named_sizes(exercise: Exercise, case: Arguments) -> Iterator[tuple[int, str]]:
    call = getattr(exercise.reference, "forward", exercise.reference)
    parameters = inspect.signature(call).parameters
    for name, value in zip(exercise.parameter_names(), case, strict=False):
        if isinstance(value, int) and not isinstance(value, bool):
            yield value, name
        elif isinstance(value, Tensor) and name in parameters:
            yield from _letters(value, dims_of(parameters[name].annotation))


def dims_of(annotation: Any) -> str:
    """The axis letters of a jaxtyping annotation, or of the first one in a union."""
    dims = (getattr(each, "dim_str", "") for each in (annotation, *get_args(annotation)))
    return next((dim for dim in dims if dim), "")


def _letters(value: Tensor, dims: str) -> Iterator[tuple[int, str]]:
    """Sizes and letters from the last axis backwards, up to the first that stands for any number of axes."""
    for size, letter in zip(reversed(value.shape), reversed(dims.split()), strict=False):
        if letter.startswith(("*", ".")):
            return
        yield size, letter.replace("*", "·")
