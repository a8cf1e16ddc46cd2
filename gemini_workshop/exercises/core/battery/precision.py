"""Does float64 in give float64 out, exact to the last digit, or is float32 written into the code?

Asked wherever the reference keeps the dtype of its input. New tensors may take PyTorch's default dtype, which is
float64 meanwhile. Then an input is changed by less than float32 can hold: where the reference's numbers change and the
answer's do not, something on the way was float32.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.attempt import Attempt, CrashedError, UnfitAnswer
from gemini_workshop.exercises.core.battery.gradients import Watch
from gemini_workshop.exercises.core.battery.tracing import mapped, tensors_in
from gemini_workshop.exercises.core.comparison import dtype_name
from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.plain import message_of
from gemini_workshop.exercises.core.pristine import put_back

TINY = 1e-8  # of a number: float32 cannot hold it
FELT = 1e-12  # of a number: float64 can
MANY = 0.3  # of the numbers that should change
OTHERWISE = 0.05  # of the change that is needed
LARGER = 100_000  # as many times as large, a change is felt in float32, too
Call = Callable[[Arguments], list[Tensor]]


def precision_problem(exercise: Exercise, answer: Any, cases: list[Arguments]) -> tuple[str, ...] | None:
    """A sentence about the first case in which an answer does not keep the dtype, or the digits, of its input."""
    if exercise.battery.dtypes:  # it says itself which kinds are asked for, and how exact they have to be
        return None
    return next(((line,) for case in cases[-2:] if (line := _of_case(exercise, answer, case))), None)


def _of_case(exercise: Exercise, answer: Any, case: Arguments) -> str | None:
    watch = Watch()
    reference, learners = _in_float64(exercise, exercise.reference), _in_float64(exercise, answer, watch)
    if not any(tensor.is_floating_point() for tensor in tensors_in(list(case))):
        return None
    needed = _quietly(reference, case)
    if needed is None or {each.dtype for each in needed if each.is_floating_point()} != {torch.float64}:
        return None
    try:
        found = Attempt(learners)(case)
    except CrashedError as crash:
        line: str | None = f"With float64 inputs it fails: `{message_of(crash.cause)[:200]}` {_CAUSE}"
    else:
        line = _other_kind(found) or _digits_lost(exercise, (learners, found), (reference, needed), case)
    return None if _may_leave_torch(exercise, watch) else line


_CAUSE = "Is there a `.float()` or a `dtype=torch.float32`? New tensors take the kind of an input with `dtype=x.dtype`."


def _in_float64(exercise: Exercise, function: Any, watch: Watch | None = None) -> Call:
    return partial(_call_in_float64, exercise, function, watch or Watch())


def _call_in_float64(exercise: Exercise, function: Any, watch: Watch, case: Arguments) -> list[Tensor]:
    torch.set_default_dtype(torch.float64)
    with watch:
        result = exercise.in_dtype(function, case, torch.float64)()
    put_back()
    return [tensor.detach() for tensor in tensors_in(result)]


def _other_kind(found: list[Tensor]) -> str | None:
    kinds = [dtype_name(each.dtype) for each in found if each.is_floating_point() and each.dtype != torch.float64]
    return f"With float64 inputs it returns {kinds[0]}; the input's dtype is needed. {_CAUSE}" if kinds else None


def _digits_lost(
    exercise: Exercise, mine: tuple[Call, list[Tensor]], its: tuple[Call, list[Tensor]], case: Arguments
) -> str | None:
    """The first argument whose last digits matter to the reference and not to the answer."""
    for i, name in enumerate(exercise.parameter_names()[: len(case)]):
        touched = _touched(case, i)
        if touched is None:
            continue
        needed, found = _quietly(its[0], touched), _quietly(mine[0], touched)
        if not needed or not found:
            continue
        lost = _stands_still(found, mine[1], needed, its[1])
        if lost and _makes_no_difference(mine, _touched(case, i, LARGER)):
            return f"Whatever `{name}` is, the result is the same. Where should it come in?"
        if lost or _moves_otherwise(mine, its, lambda times, i=i: _touched(case, i, times) or case):
            return (
                f"With float64 inputs the result is only as exact as float32: digits of `{name}` are lost on the way. "
                f"{_CAUSE}"
            )
    return None


def _makes_no_difference(mine: tuple[Call, list[Tensor]], case: Arguments | None) -> bool:
    """Whether not even a large change is felt: then no digits are lost, but the argument is not used."""
    found = None if case is None else _quietly(mine[0], case)
    return found is not None and all(map(torch.equal, found, mine[1]))


def _touched(case: Arguments, i: int, times: int = 1) -> Arguments | None:
    """The case in float64, with one argument changed by less than float32 can hold; None if it has no fractions."""
    if not any(tensor.is_floating_point() for tensor in tensors_in(case[i])):
        return None
    generator = torch.Generator().manual_seed(7)
    return (*case[:i], mapped(case[i], lambda tensor: _slightly_more(tensor, generator, times)), *case[i + 1 :])


def _slightly_more(tensor: Tensor, generator: torch.Generator, times: int) -> Tensor:
    by = times * TINY * (torch.rand(tensor.shape, generator=generator).double() + 1)
    return tensor.double() * (1 + by) if tensor.is_floating_point() else tensor


def _stands_still(found: list[Tensor], found_before: list[Tensor], needed: list[Tensor], before: list[Tensor]) -> bool:
    """Whether many of the numbers that should change are exactly what they were."""
    should = torch.cat([_felt(*pair) for pair in zip(needed, before, strict=True)])
    still = torch.cat([(new == old).flatten() for new, old in zip(found, found_before, strict=True)])
    return len(still) == len(should) and bool(should.any()) and float(still[should].double().mean()) > MANY


def _moves_otherwise(
    mine: tuple[Call, list[Tensor]], its: tuple[Call, list[Tensor]], moved: Callable[[int], Arguments]
) -> bool:
    """Whether a part of the computation does not notice a change that float32 cannot hold.

    Results then move by another amount than they should, though they agree on a change that float32 can hold. Asked
    only where the reference moves twice as far for twice the change: else digits are lost in it, too.
    """

    def rows(times: int) -> tuple[Tensor | None, Tensor | None]:
        case = moved(times)
        return _row(_quietly(mine[0], case), mine[1]), _row(_quietly(its[0], case), its[1])

    small, large = rows(1), rows(LARGER)
    double = _row(_quietly(its[0], moved(2)), its[1])
    if small[1] is None or double is None or _differ(double, 2 * small[1]):
        return False
    return not _differ(*large) and _differ(*small)


def _differ(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None or len(a) != len(b):
        return True
    return bool((a - b).norm() > OTHERWISE * b.norm())


def _row(now: list[Tensor] | None, before: list[Tensor]) -> Tensor | None:
    """By how much all the numbers of a result have moved; None if they cannot be compared."""
    pairs = list(zip(now or [], before, strict=False))
    if not pairs or any(a.shape != b.shape for a, b in pairs):
        return None
    row = torch.cat([(a - b).flatten() for a, b in pairs if a.is_floating_point()] or [torch.ones(0)])
    return row if bool(row.isfinite().all()) and bool(row.any()) else None


def _felt(now: Tensor, before: Tensor) -> Tensor:
    return ((now - before).abs() > FELT * before.abs()).flatten()  # never true of infinity


def _may_leave_torch(exercise: Exercise, watch: Watch) -> bool:
    """Whether an answer leaves PyTorch where that is right: then its numbers have no dtype to keep."""
    return bool(watch.leaves_torch) and bool(exercise.battery.untrained or not exercise.battery.gradients)


def _quietly(call: Call, case: Arguments) -> list[Tensor] | None:
    try:
        return Attempt(call)(case)
    except (CrashedError, UnfitAnswer):
        return None
