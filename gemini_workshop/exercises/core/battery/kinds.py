"""Kinds of numbers and places: dtype and device of the result, and what is hard-coded about either."""

import math
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.attempt import Attempt, CrashedError
from gemini_workshop.exercises.core.battery.declaration import Call
from gemini_workshop.exercises.core.battery.other_device import OtherDevice, is_there
from gemini_workshop.exercises.core.battery.tracing import tensors_in
from gemini_workshop.exercises.core.comparison import dtype_name
from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.plain import message_of
from gemini_workshop.exercises.core.pristine import put_back

TOLERANCES = {torch.bfloat16: 3e-2, torch.float16: 5e-3, torch.float64: 1e-4}


def kind_problem(exercise: Exercise, answer: Any, cases: list[Arguments]) -> tuple[str, ...] | None:
    """A sentence about the first call whose result is of another kind, or on another device, than was promised."""
    for call in exercise.battery.kinds():
        if line := _called(exercise, answer, call):
            return (line,)
    for dtype in exercise.battery.dtypes:
        if line := _in_dtype(exercise, answer, cases[-1], dtype):
            return (line,)
    return None


def _called(exercise: Exercise, answer: Any, call: Call) -> str | None:
    words, (needed, belongs_there) = _words(call), _kind_and_place(call, exercise.reference)
    try:
        kind, there = Attempt(lambda: _kind_and_place(call, answer))()
    except CrashedError as crash:
        return f"{words} it fails: `{_reason(crash)}` Make new tensors with `device=` and `dtype=`."
    if there != belongs_there:
        return (
            f"{words} the result is on another device: it should be where what it meets is. Make new tensors with "
            "`device=`."
        )
    return f"{words} the result is {kind}; {needed} is needed. Make it with `dtype=`." if kind != needed else None


def _kind_and_place(call: Call, function: Any) -> tuple[str, bool]:
    """The kind of the result, and whether it is on the other device."""
    with OtherDevice():
        result = call.of(function)
    put_back()
    return (
        (dtype_name(result.dtype), is_there(result)) if isinstance(result, Tensor) else (type(result).__name__, False)
    )


def _words(call: Call) -> str:
    """What is special about a call."""
    named = [f"{name}={_short(value)}" for name, value in call.named.items()]
    if any(map(is_there, tensors_in(call.args))):
        named.append("its tensors on another device (a GPU, for example)")
    return f"With {' and '.join(named) or 'its defaults'}"


def _short(value: Any) -> str:
    return "another device (a GPU, for example)" if isinstance(value, torch.device) else repr(value)


def _reason(crash: CrashedError) -> str:
    return message_of(crash.cause)[:200]


def _in_dtype(exercise: Exercise, answer: Any, case: Arguments, dtype: torch.dtype) -> str | None:
    """Whether inputs and parameters of this dtype give a result of this dtype, nearly as exact as it can be."""
    needed = exercise.in_dtype(exercise.reference, case, dtype)()
    name = dtype_name(dtype)
    try:
        got = Attempt(exercise.in_dtype(answer, case, dtype))()
    except CrashedError as crash:
        return f"In {name} it fails: `{_reason(crash)}` Let new tensors take the dtype of the input."
    if isinstance(got, tuple) and isinstance(needed, tuple):
        return next(filter(None, (_another_kind(*pair, name) for pair in zip(got, needed, strict=False))), None)
    return _another_kind(got, needed, name, TOLERANCES.get(dtype, 1e-2))


def _another_kind(got: Any, needed: Any, name: str, tolerance: float = math.inf) -> str | None:
    if not (isinstance(got, Tensor) and isinstance(needed, Tensor)):
        return None
    if got.dtype != needed.dtype:
        return f"In {name} it returns {dtype_name(got.dtype)}; the input's dtype is needed: convert back at the end."
    distance = (got.double() - needed.double()).norm() / needed.double().norm().clamp(min=1e-9)
    if distance > tolerance:
        return f"In {name} the result is off by {float(distance):.2g} of its size. Is something rounded too early?"
    return None
