"""How a wrong result follows from the right one: scaled, turned round, shifted, squared, rounded, repeated.

A relation is told only if it holds in every wrong case of several different numbers, which cannot be an accident.
"""

import math
import re
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.axes import names_of_sizes
from gemini_workshop.exercises.core.comparison import number
from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.limits import ROUNDED, cut_off, small_for_nothing
from gemini_workshop.exercises.core.sequences import sequence_relation

Case = tuple[Arguments, Any, Any]
CLOSE = 1e-3
ENOUGH_NUMBERS = 4
_DIGITS = re.compile(r"-?\d[\d.e+-]*")
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "the square of what is needed: is a root missing, or a square too many?": torch.square,
    "the square root of what is needed: is there a root too many?": torch.sqrt,
    "one over what is needed: is the fraction upside down?": torch.reciprocal,
    "the logarithm of what is needed": torch.log,
    "the exponential of what is needed": torch.exp,
    "what is needed without its sign: where does an absolute value come in?": torch.abs,
    "what is needed with all negative numbers cut off at zero": torch.relu,
}


FORMS: dict[str, Callable[[float], float]] = {
    "{}": lambda n: n,
    "1 / ({})": lambda n: 1 / n,
    "√({})": math.sqrt,
    "1 / √({})": lambda n: 1 / math.sqrt(n),
    "n / (n - 1) with n of {}": lambda n: n / (n - 1) if n > 1 else 0.0,
    "√((n - 1) / n) with n of {}": lambda n: math.sqrt((n - 1) / n),
}


def relation(exercise: Exercise, wrong: list[Case]) -> str | None:
    """A sentence about how the results follow from the needed ones, the same in every wrong case."""
    return next(_candidates(exercise, wrong), None) or sequence_relation(wrong)


def place(wrong: list[Case]) -> str | None:
    """A sentence about where the results are right and where they are not, the same in every wrong case."""
    cases = [(got, needed) for _, got, needed in _telling(wrong) if got.shape == needed.shape]
    if cases and _near(*cases[0]):
        return small_for_nothing(*cases[0]) or ROUNDED
    alike = _common(_alike(*pair) for pair in cases)
    return next(alike, None) or next(_common(_partly(*pair) for pair in cases), None)


def _telling(wrong: list[Case]) -> list[tuple[Arguments, Tensor, Tensor]]:
    """The cases with enough different numbers; none, if a result is not made of finite numbers."""
    pairs = [(case, _floats(got), _floats(needed)) for case, got, needed in wrong]
    if any(got is None for _, got, _ in pairs):
        return []
    return [
        (case, got, needed) for case, got, needed in pairs if got is not None and needed is not None and _tells(needed)
    ]


def _candidates(exercise: Exercise, wrong: list[Case]) -> Iterator[str]:
    """Sentences that hold in all cases, the plainest first."""
    cases = _telling(wrong)
    if not cases:
        return
    if any(got.shape != needed.shape for _, got, needed in cases):
        yield from _common(_moved(got, needed) for _, got, needed in cases)
        return
    if all(torch.equal(got, needed) for _, got, needed in cases):
        yield "The numbers are right; only their type is not."
        return
    if all(_near(got, needed) for _, got, needed in cases):
        yield from _common(_rounded(got, needed) for _, got, needed in cases)
        return  # any relation that leaves the numbers nearly as they are would seem to hold
    yield from _common(_unchanged(exercise, case, got) for case, got, _ in cases)
    yield from _common(_constant(got, needed) for _, got, needed in cases)
    yield from _common(cut_off(got, needed) for _, got, needed in cases)
    yield from _common(_with_argument(exercise, case, got, needed) for case, got, needed in cases)
    if line := _scaled(exercise, wrong):
        yield line
    yield from _common(_shifted(got, needed) for _, got, needed in cases)
    yield from _common(_function(got, needed) for _, got, needed in cases)
    yield from _common(_rounded(got, needed) for _, got, needed in cases)
    yield from _common(_moved(got, needed) for _, got, needed in cases)
    yield from _common(_repeated(got, needed) for _, got, needed in cases)


def _common(sentences: Iterator[str | None]) -> Iterator[str]:
    """The first sentence, if there is one for every case that says the same but for its numbers."""
    found = list(sentences)
    if found and all(found) and len({_DIGITS.sub("", str(each)) for each in found}) == 1:
        yield str(found[0])


def _floats(result: Any) -> Tensor | None:
    if not isinstance(result, Tensor) or result.is_complex() or result.numel() == 0:
        return None  # of a mask, True counts as 1
    numbers = result.detach().cpu().double()
    return numbers if bool(numbers.isfinite().all()) else None


def _tells(needed: Tensor) -> bool:
    is_mask = set(needed.unique().tolist()) == {0.0, 1.0}
    return needed.numel() >= ENOUGH_NUMBERS and (is_mask or len(needed.unique()) >= ENOUGH_NUMBERS)


def _near(got: Tensor, needed: Tensor) -> bool:
    return got.shape == needed.shape and bool((got - needed).norm() <= CLOSE * needed.norm() + 1e-12)


def _unchanged(exercise: Exercise, case: Arguments, got: Tensor) -> str | None:
    for name, value in zip(exercise.parameter_names(), case, strict=False):
        given = _floats(value)
        if given is not None and _near(got, given):
            return f"It returns `{name}` unchanged."
    return None


def _with_argument(exercise: Exercise, case: Arguments, got: Tensor, needed: Tensor) -> str | None:
    """Whether an argument was added to the right result once more, taken away from it, or multiplied with it."""
    for name, value in zip(exercise.parameter_names(), case, strict=False):
        given = _floats(value)
        if given is None or given.shape not in (got.shape, got.shape[-1:]) or given.ndim == 0:
            continue
        for words, changed in (
            (f"the right result with `{name}` added to it", needed + given),
            (f"the right result with `{name}` taken away from it", needed - given),
            (f"the right result multiplied with `{name}`", needed * given),
        ):
            if given.any() and _near(got, changed):
                return f"It is {words} once more."
    return None


def _constant(got: Tensor, needed: Tensor) -> str | None:
    if len(got.unique()) > 1:
        return None
    one = bool(got.flatten()[0]) if set(needed.unique().tolist()) == {0.0, 1.0} else got.flatten()[0]
    return f"Every entry of the result is {number(one)}."


def _scaled(exercise: Exercise, wrong: list[Case]) -> str | None:
    """One factor for all numbers of a case, and the way in which it is made of the sizes; of small cases, too."""
    pairs = [(case, _floats(got), _floats(needed)) for case, got, needed in wrong]
    cases = [(case, got, needed) for case, got, needed in pairs if got is not None and needed is not None]
    if any(got.shape != needed.shape or not needed.any() for _, got, needed in cases):
        return None
    factors = [float((got * needed).sum() / needed.square().sum()) for _, got, needed in cases]
    scaled = all(_near(got, factor * needed) for factor, (_, got, needed) in zip(factors, cases, strict=True))
    if not scaled or any(abs(factor) < CLOSE or math.isclose(factor, 1, rel_tol=CLOSE) for factor in factors):
        return None
    if all(math.isclose(factor, -1, rel_tol=CLOSE) for factor in factors):
        return "Every number has the opposite sign of what is needed. Which sign is turned round?"
    sizes = [{name: size for size, name in names_of_sizes(exercise, case).items()} for case, *_ in cases]
    made_of = _made_of(factors, sizes)
    if not made_of and any(not math.isclose(factor, factors[0], rel_tol=CLOSE) for factor in factors):
        return (
            f"In each case all numbers are off by one factor, here {number(factors[0])}. What are they divided by, or "
            "multiplied with, that they should not be?"
        )
    return f"Every number is what is needed times {number(factors[0])}{made_of}."


def _made_of(factors: list[float], sizes: list[dict[str, int]]) -> str:
    """Which size the factors are, or its root, or one over either; said only if that holds in every case."""
    names = [name for name in sizes[0] if all(name in each for each in sizes)]
    for name in names if len(set(factors)) > 1 else ():
        for form, function in FORMS.items():
            expected = [function(float(each[name])) for each in sizes]
            if all(math.isclose(a, b, rel_tol=CLOSE) for a, b in zip(factors, expected, strict=True)):
                return f", which is {form.format(f'{name} = {sizes[0][name]}')}"
    return ""


def _shifted(got: Tensor, needed: Tensor) -> str | None:
    difference = got - needed
    if difference.std() > CLOSE * difference.abs().mean() or difference.abs().mean() == 0:
        return None
    offset = float(difference.mean())
    return f"Every number is {number(abs(offset))} too {'large' if offset > 0 else 'small'}."


def _function(got: Tensor, needed: Tensor) -> str | None:
    if torch.equal(got, 1 - needed) and set(needed.unique().tolist()) == {0.0, 1.0}:
        return "True and False are exchanged."
    for words, function in FUNCTIONS.items():
        changed = function(needed)
        if bool(changed.isfinite().all()) and _near(got, changed):
            return f"Every number is {words}{'' if words.endswith('?') else '.'}"
    return None


def _rounded(got: Tensor, needed: Tensor) -> str | None:
    for decimals in (0, 1, 2, 3):
        if torch.equal(got.float(), needed.float().round(decimals=decimals)):
            return f"The results are rounded to {decimals} decimals. What is computed on with needs all of them."
    return None


def _moved(got: Tensor, needed: Tensor) -> str | None:
    """Right numbers in wrong places: other axes, another order along an axis, or read in another order."""
    if got.numel() != needed.numel():
        return _part(got, needed)
    if got.ndim == needed.ndim <= 5:
        for order in permutations(range(needed.ndim)):
            if list(order) != sorted(order) and _near(got, needed.permute(order)):
                return f"The numbers are right, but the axes are in another order: {_exchange(order)}."
    for axis in range(needed.ndim if got.shape == needed.shape else 0):
        if _near(got, needed.flip(axis)):
            return f"The numbers are right, but run backwards along axis {axis}."
        for by in (1, -1):
            if needed.shape[axis] > 2 and _near(_inner(got, axis, by), _inner(needed, axis, -by)):
                late = "late" if by > 0 else "early"
                return f"The numbers are right, but come one place too {late} along axis {axis}."
    if _near(got.flatten(), needed.flatten()):
        return "The numbers are right and in the right order; only the shape is another."
    if _near(got.flatten().sort().values, needed.flatten().sort().values):
        if sorted(got.shape) != sorted(needed.shape):
            return "These are the needed numbers, on axes of other sizes. Which size is not what it should be?"
        return (
            "These are the needed numbers, in wrong places. `view` and `reshape` read row by row and move nothing: "
            "which axes have to be exchanged, and when?"
        )
    return None


def _inner(tensor: Tensor, axis: int, by: int) -> Tensor:
    length = tensor.shape[axis] - 1
    return tensor.narrow(axis, 1 if by > 0 else 0, length)


def _exchange(order: tuple[int, ...]) -> str:
    wrong = [axis for axis, source in enumerate(order) if axis != source]
    if len(wrong) == 2:
        return f"axes {wrong[0]} and {wrong[1]} are exchanged"
    return f"axis {', '.join(map(str, order))} of what is needed, in this order"


def _part(got: Tensor, needed: Tensor) -> str | None:
    """The needed numbers with some left out along an axis, or summed over one."""
    for axis in range(needed.ndim):
        name_of_it = "the last axis" if axis == needed.ndim - 1 else f"axis {axis}"
        for keep, left in ((True, "one entry of it is left"), (False, "the axis is gone")):
            for name, reduced in (("sum", needed.sum(axis, keepdim=keep)), ("mean", needed.mean(axis, keepdim=keep))):
                if needed.shape[axis] > 1 and _near(got, reduced):
                    return f"It is the {name} of what is needed over {name_of_it}: {left}."
        for place, index in (("first", 0), ("last", -1)):
            chosen = needed.select(axis, index)
            if needed.shape[axis] > 1 and (_near(got, chosen) or _near(got, chosen.unsqueeze(axis))):
                return f"Only the {place} entry of {name_of_it} is returned; all {needed.shape[axis]} are needed."
    return None


def _repeated(got: Tensor, needed: Tensor) -> str | None:
    for axis in range(needed.ndim):
        if needed.shape[axis] < 2:
            continue
        for place, index in (("first", 0), ("last", -1)):
            if _near(got, needed.narrow(axis, index % needed.shape[axis], 1).expand_as(needed)):
                return f"The {place} entry of axis {axis} is right and is repeated for all others."
        if _near(got, needed.mean(axis, keepdim=True).expand_as(needed)):
            return f"Every entry of axis {axis} gets the mean of what they should be."
    return None


def _alike(got: Tensor, needed: Tensor) -> str | None:
    """Equal along an axis where what is needed differs."""
    for axis in range(needed.ndim):
        first, its_first = got.narrow(axis, 0, 1), needed.narrow(axis, 0, 1)
        if _near(first.expand_as(got), got) and not _near(its_first.expand_as(needed), needed):
            return f"Along axis {axis} all entries of the result are the same; they should differ."
    return None


def _partly(got: Tensor, needed: Tensor) -> str | None:
    """Right in most places along an axis: which ones are wrong, if they are the first, the last or a half."""
    for axis in range(needed.ndim):
        length = needed.shape[axis]
        right = [_near(got.select(axis, i), needed.select(axis, i)) for i in range(length)]
        count = sum(right)
        if not 0 < count < length or length < (3 if axis == needed.ndim - 1 else 2):
            continue
        if right == sorted(right, reverse=True):
            return f"Along axis {axis} {_so_many('first', count, length)} right; what follows is not."
        if right == sorted(right):
            return f"Along axis {axis} {_so_many('last', count, length)} right; what comes before is not."
    return None


def _so_many(place: str, count: int, length: int) -> str:
    return f"the {place} {count} of {length} entries are" if count > 1 else f"only the {place} of {length} entries is"
