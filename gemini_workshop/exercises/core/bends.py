"""Right code that is given something else: an argument changed on its way in, or the result on its way out.

That is what an answer does which normalizes twice, counts from another number, reads an argument in reverse, or has
one of the examples' sizes written into it. Looked for before the code itself is changed, because it costs least.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.modules import Build

Change = Callable[[Any], Any]
Bent = tuple[str, Callable[..., Any]]  # "It behaves as if ...", and what does the same
MOST_VALUES = 6  # of one argument, taken from the examples
FLOATS: dict[str, Change] = {
    "`softmax` were applied to {}": lambda x: x.softmax(-1),
    "{} were divided by its sum along the last axis": lambda x: x / x.sum(-1, keepdim=True),
    "`sigmoid` were applied to {}": torch.sigmoid,
    "`tanh` were applied to {}": torch.tanh,
    "`relu` were applied to {}": torch.relu,
    "`exp` were applied to {}": torch.exp,
    "`log` were applied to {}": torch.log,
    "{} had the opposite sign": torch.neg,
    "1 were added to {}": lambda x: x + 1,
    "{} were divided by the root of its last size": lambda x: x / x.shape[-1] ** 0.5,
    "{} were divided by its last size": lambda x: x / x.shape[-1],
}
ENTRIES: dict[str, Change] = {
    "{} ran in reverse along its last axis": lambda x: x.flip(-1),
    "the last entry of {} were left out": lambda x: x[..., :-1],
    "the first entry of {} were left out": lambda x: x[..., 1:],
    "the first row of {} stood for all": lambda x: x[:1].expand_as(x),
}
WHOLE_NUMBERS: dict[str, Change] = {
    "{} were larger by 1": lambda x: x + 1,
    "{} were smaller by 1": lambda x: x - 1,
}
MASKS: dict[str, Change] = {
    "True and False in {} changed places": torch.logical_not,
    "everything in {} were True": torch.ones_like,
    "rows and columns of {} changed places": lambda x: x.mT,
    "a causal mask were laid over {}": lambda x: x.tril(x.shape[-1] - x.shape[-2]),
    "{} were causal, whatever is passed": lambda x: torch.ones_like(x).tril(x.shape[-1] - x.shape[-2]),
    "{} were the triangle from its first corner, whatever is passed": lambda x: torch.ones_like(x).tril(),
}
LISTS: dict[str, Change] = {
    "{} came in reverse": lambda x: x[::-1],
    "the last entry of {} were left out": lambda x: x[:-1],
    "the first entry of {} were left out": lambda x: x[1:],
}
OF_RESULTS = {
    **{words: FLOATS[words] for words in list(FLOATS)[:5]},
    "`silu` were applied to {}": torch.nn.functional.silu,
    "`gelu` were applied to {}": torch.nn.functional.gelu,
}


def bends(exercise: Exercise, cases: list[Arguments]) -> Iterator[Bent]:
    """Every way in which the right code is given, or gives, something else."""
    right = exercise.as_function(exercise.reference)
    for i, name in enumerate(exercise.parameter_names()):
        values = [case[i] for case in cases if len(case) > i]
        if values and isinstance(values[0], Build):
            yield from _of_build(right, values)
        else:
            for words, change in _changes(values):
                yield words.format(f"`{name}`"), partial(_with_other, right, i, change)
    if isinstance(cases[0][0], Tensor) and isinstance(exercise.oracle(*cases[0]), Tensor):
        name = exercise.parameter_names()[0]
        yield f"it ran along the first axis of `{name}` and not along the last", partial(_along_the_first, right)
    if isinstance(exercise.oracle(*cases[0]), Tensor):
        for words, change in OF_RESULTS.items():
            yield words.format("the result"), partial(_afterwards, right, change)


def _with_other(right: Callable[..., Any], i: int, change: Change, *case: Any) -> Any:
    return right(*case[:i], change(case[i]), *case[i + 1 :]) if len(case) > i else right(*case)


def _along_the_first(right: Callable[..., Any], x: Tensor, *rest: Any) -> Any:
    return right(x.transpose(0, -1), *rest).transpose(0, -1)


def _afterwards(right: Callable[..., Any], change: Change, *case: Any) -> Any:
    return change(right(*case))


def _of_build(right: Callable[..., Any], builds: list[Build]) -> Iterator[Bent]:
    """One of the arguments of a constructor is ignored, and has always the same value."""
    for name in builds[0].arguments:
        for value in _different([build.arguments[name] for build in builds if name in build.arguments]):
            yield f"`{name}` were always {value!r}", partial(_built_with, right, name, value)


def _built_with(right: Callable[..., Any], name: str, value: Any, build: Build, *rest: Any) -> Any:
    return right(Build(starts_as_it_is=build.starts_as_it_is, **{**build.arguments, name: value}), *rest)


def _changes(values: list[Any]) -> Iterator[tuple[str, Change]]:
    """What could be done to an argument that has these values in the cases."""
    given = [value for value in values if value is not None]
    if not given:
        return
    if isinstance(given[0], Tensor):
        yield from _of_tensor(given[0])
    elif isinstance(given[0], bool | int | float | str):
        if type(given[0]) is int:
            yield from WHOLE_NUMBERS.items()
        for value in _different(given):
            yield f"{{}} were always {value!r}", partial(_always, value)
    elif isinstance(given[0], list | tuple | bytes):
        yield from LISTS.items()


def _of_tensor(value: Tensor) -> Iterator[tuple[str, Change]]:
    kinds = MASKS if value.dtype == torch.bool else FLOATS if value.is_floating_point() else WHOLE_NUMBERS
    for words, change in {**kinds, **(ENTRIES if value.dtype != torch.bool else {})}.items():
        yield words, partial(_if_given, change)


def _if_given(change: Change, value: Any) -> Any:
    return value if value is None else change(value)


def _always(value: Any, _: Any) -> Any:
    return value


def _different(values: list[Any]) -> list[Any]:
    """The values that stand in the cases, and 2, which stands in many answers; none if there is one alone."""
    plain = [value for value in values if isinstance(value, bool | int | float | str)]
    found = list(dict.fromkeys(plain))
    return [*found[:MOST_VALUES], *([2] if found and type(found[0]) is int and 2 not in found else [])]
