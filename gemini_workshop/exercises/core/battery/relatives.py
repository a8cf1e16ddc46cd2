"""Cases that nobody wrote down, made of the examples: equal sizes, one of a kind, slices, short and long lists.

The examples have no two axes of one size, and few of size 1: an answer may do something else there. A made case counts
where the oracle and the reference both take it, and agree.
"""

import inspect
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.attempt import Attempt, CrashedError, UnfitAnswer
from gemini_workshop.exercises.core.axes import dims_of
from gemini_workshop.exercises.core.battery.calls import reason, sizes_of
from gemini_workshop.exercises.core.battery.memory import agreed
from gemini_workshop.exercises.core.battery.tracing import mapped
from gemini_workshop.exercises.core.comparison import same, shape_problem, value_problem
from gemini_workshop.exercises.core.exercise import Arguments, Exercise

MOST = 4  # of one kind that compute with tensors
MOST_LISTS = 24
LONG = 12  # times as many entries
LARGEST = 2000  # a count may be made by building what is counted
EQUAL = (
    "It is right where all sizes differ, but {} are equal in {}: there it {} Does something ask whether two sizes are "
    "the same, or take an axis for another of its size?"
)
ONE = (
    "It is right for larger sizes, but with {} it {} Is an axis of one entry lost, by `squeeze`, or is it a special "
    "case?"
)
SLICES = (
    "It is right, but with a slice of a larger tensor, such as `rows[:, 1:]`, it {} `view` needs numbers that are side "
    "by side in memory; `reshape` copies them where it has to."
)
LARGER = "It is right for the examples, but with {} it {} Is a number written into the code?"
LISTS = "It is right for the examples, but with {} it {} Is there a special case, or a limit, for some lengths?"
Made = tuple[str, Arguments]


def relatives_problem(exercise: Exercise, answer: Any, cases: list[Arguments]) -> tuple[str, ...] | None:
    """A sentence about the first made case that an answer gets wrong."""
    function = exercise.as_function(answer)
    for makers in (_equal, _ones, _slices, _larger, _fractions, _lists):
        made = (each for case in reversed(cases) for each in makers(exercise, case))
        for words, case, needed in islice(_that_count(exercise, made), MOST_LISTS if makers is _lists else MOST):
            if line := _wrong(exercise, function, case, needed):
                return (words.format(*_places(words, exercise, case), line),)
    return None


def _places(words: str, exercise: Exercise, case: Arguments) -> list[str]:
    """What goes into a sentence before what is wrong: letters of equal axes, and the sizes of the case."""
    sizes = ", ".join(sizes_of(exercise.parameter_names(), case))
    letters = ", ".join(sorted({letter for each in _lettered(exercise, case).values() for letter in each if letter}))
    return {EQUAL: [letters, sizes], SLICES: []}.get(words, [sizes])


def _that_count(exercise: Exercise, made: Iterator[Made]) -> Iterator[tuple[str, Arguments, Any]]:
    for words, case in made:
        needed = agreed(exercise, case)
        if needed is not None:
            yield words, case, needed


def _wrong(exercise: Exercise, function: Callable[..., Any], case: Arguments, needed: Any) -> str | None:
    try:
        got = Attempt(function)(*case)
    except (CrashedError, UnfitAnswer) as crash:
        return None if _has_nothing(case) else f"fails: {reason(crash)}"  # nobody promises anything of empty lists
    if same(got, needed):
        return None
    return f"is wrong. {shape_problem(got, needed, exercise.result_axes()) or value_problem(got, needed)}"


def _has_nothing(case: Arguments) -> bool:
    return any(isinstance(each, list | bytes | str) and not each for each in case)


def _lettered(exercise: Exercise, case: Arguments) -> dict[int, list[str]]:
    """The letter of each axis of each tensor, by its place among the arguments.

    It is "" for axes in front, and where sizes hang together, such as those of K and K+1.
    """
    call = getattr(exercise.reference, "forward", exercise.reference)
    parameters, found = inspect.signature(call).parameters, {}
    all_dims = " ".join(dims_of(parameter.annotation) for parameter in parameters.values()).split()
    sums = "".join(each for each in all_dims if not each.lstrip("*#").isalpha())
    for i, (name, value) in enumerate(zip(exercise.parameter_names(), case, strict=False)):
        dims = dims_of(parameters[name].annotation).split() if name in parameters else []
        if isinstance(value, Tensor) and dims:
            plain = [each if each.isalpha() and each not in sums else "" for each in dims if not each.startswith("*")]
            found[i] = [""] * (value.ndim - len(plain)) + plain[-value.ndim :] if value.ndim else []
    return found


def _can_be_cut(case: Arguments) -> bool:
    """Whether sizes are in the tensors alone: a whole number beside them may be one, too."""
    return not any(isinstance(each, int) and not isinstance(each, bool) for each in case)


def _cut(case: Arguments, letters: dict[int, list[str]], sizes: dict[str, int]) -> Arguments:
    """Only the first entries of the axes with these letters."""
    cut = list(case)
    for i, names in letters.items():
        for axis, name in enumerate(names):
            if name in sizes:
                cut[i] = cut[i].narrow(axis, 0, min(sizes[name], cut[i].shape[axis])).contiguous()
    return tuple(cut)


def _still_makes_sense(before: Arguments, after: Arguments) -> bool:
    """Whether what sums to one still does: probabilities, loads. A piece of them means nothing."""
    return all(not _sums_to_one(a) or _sums_to_one(b) for a, b in zip(before, after, strict=True))


def _sums_to_one(value: Any) -> bool:
    if not (isinstance(value, Tensor) and value.is_floating_point() and value.ndim and value.numel()):
        return False
    return bool(torch.isclose(value.sum(-1), torch.ones(()), atol=1e-4).all()) and bool((value >= 0).all())


def _counts_something(case: Arguments) -> bool:
    """Whether there are whole numbers in tensors, such as tokens or experts: each is smaller than some size."""
    return any(isinstance(each, Tensor) and not each.is_floating_point() and each.dtype != torch.bool for each in case)


def _equal(exercise: Exercise, case: Arguments) -> Iterator[Made]:
    """All axes that have a letter of their own as long as the shortest of them."""
    letters = _lettered(exercise, case)
    sizes = {n: case[i].shape[axis] for i, names in letters.items() for axis, n in enumerate(names) if n}
    sizes = {name: size for name, size in sizes.items() if size > 1}
    if len(sizes) > 1 and _can_be_cut(case) and not _counts_something(case):
        cut = _cut(case, letters, dict.fromkeys(sizes, min(sizes.values())))
        if _still_makes_sense(case, cut):
            yield EQUAL, cut


def _ones(exercise: Exercise, case: Arguments) -> Iterator[Made]:
    """One entry along an axis; along the first, whatever it is called, of all tensors that have as many there."""
    letters = _lettered(exercise, case)
    names = dict.fromkeys(name for each in letters.values() for name in each if name)
    first = {i: ["front", *names[1:]] for i, names in letters.items() if names and not names[0]}
    fronts = {case[i].shape[0] for i in first}
    if not _can_be_cut(case):
        return
    if len(fronts) == 1:
        yield ONE, _cut(case, first, {"front": 1})
    for name in names:
        in_front = all(each[:1] == [name] for each in letters.values())
        cut = _cut(case, letters, {name: 1})
        if (in_front or not _counts_something(case)) and _still_makes_sense(case, cut):
            yield ONE, cut


def _slices(_: Exercise, case: Arguments) -> Iterator[Made]:
    yield SLICES, tuple(mapped(each, _slice_of_larger) for each in case)


def _slice_of_larger(tensor: Tensor) -> Tensor:
    inner = tuple(slice(1, 1 + size) for size in tensor.shape)
    larger = tensor.new_zeros([size + 2 for size in tensor.shape])
    larger[inner] = tensor
    return larger[inner]


def _larger(_: Exercise, case: Arguments) -> Iterator[Made]:
    """Whole numbers ten times as large, where there is nothing but numbers."""
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in case):
        larger = tuple(10 * each if isinstance(each, int) else each for each in case)
        if max(larger) <= LARGEST:
            yield LARGER, larger


def _fractions(_: Exercise, case: Arguments) -> Iterator[Made]:
    """Fractions that are given as Python's numbers, all nearer to 1 in the same order: a penalty of 1.05."""
    nearer = tuple(round(each**0.2, 3) if type(each) is float and each > 0 else each for each in case)
    if any(type(now) is float and now != before for now, before in zip(nearer, case, strict=True)):
        yield LARGER, nearer


def _lists(_: Exercise, case: Arguments) -> Iterator[Made]:
    """The first argument with two entries, one, none, and with many more."""
    value, *rest = case
    if isinstance(value, list | bytes | str) and not any(map(callable, rest)):
        yield from ((LISTS, (short, *rest)) for short in (value[:2], value[:1], value[:0], LONG * value))
