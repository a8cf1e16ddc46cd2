"""Compare what a learner's code returned with what it should have, and say the difference in words."""

from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

REL_TOL, ABS_TOL = 1e-4, 1e-5


def same(got: Any, expected: Any) -> bool:
    """Whether two results are equal up to rounding in float32; NaN equals NaN."""
    if isinstance(expected, Tensor) or isinstance(got, Tensor):
        return _same_tensors(_as_tensor(got), _as_tensor(expected))
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and got.keys() == expected.keys()
            and all(same(got[key], expected[key]) for key in expected)
        )
    if isinstance(expected, list | tuple):
        return (
            isinstance(got, list | tuple)
            and len(got) == len(expected)
            and all(same(a, b) for a, b in zip(got, expected, strict=True))
        )
    if isinstance(expected, int | float) and isinstance(got, int | float):
        return _same_tensors(torch.tensor(float(got)), torch.tensor(float(expected)))
    return bool(got == expected)


def _as_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return None


def _same_tensors(got: Tensor | None, expected: Tensor | None) -> bool:
    if got is None or expected is None or got.shape != expected.shape:
        return False
    if got.is_floating_point() != expected.is_floating_point() or (got.dtype == torch.bool) != (
        expected.dtype == torch.bool
    ):
        return False
    return torch.allclose(got.double(), expected.double(), rtol=REL_TOL, atol=ABS_TOL, equal_nan=True)


def shape_problem(got: Any, expected: Any, axes: str) -> str | None:
    """A sentence if the result is of the wrong kind or shape.

    Args:
        axes: the axis letters of the result, such as ``"B H T C"``, as in the reference's signature.
    """
    if got is None:
        return "It returned nothing (None). Does it end in `return`?"
    if isinstance(expected, int) and not isinstance(expected, bool):
        return None if isinstance(got, Integral) else _no_count(got)
    if isinstance(expected, Tensor):
        if not isinstance(got, Tensor):
            return f"It returned {_kind(got)}; a tensor of shape {tuple(expected.shape)} is needed."
        if got.shape != expected.shape:
            named = f" = ({', '.join(axes.split())})" if len(axes.split()) == expected.ndim > 0 else ""
            named = named if expected.ndim else ", one number,"
            return f"It returned shape {tuple(got.shape)}; {tuple(expected.shape)}{named} is needed."
        if _family(got.dtype) != _family(expected.dtype):
            return f"It returned numbers of type {dtype_name(got.dtype)}; {dtype_name(expected.dtype)} is needed."
    elif isinstance(expected, list | tuple):
        return _list_problem(got, expected)
    return None


def _no_count(got: Any) -> str:
    divided = " `/` always gives a fraction; `//` divides whole numbers." if isinstance(got, float) else ""
    return f"It returned {written(got)}, {_kind(got)}; a whole number (int) is needed.{divided}"


def _list_problem(got: Any, expected: list[Any] | tuple[Any, ...]) -> str | None:
    is_flat = not any(isinstance(wanted, list | tuple) for wanted in expected)
    if (
        is_flat
        and isinstance(got, tuple)
        and any(isinstance(each, list) and len(each) == len(expected) for each in got)
    ):
        return f"It returned {len(got)} things together; {_kind(expected)} of {len(expected)} alone is needed."
    of_numbers = all(isinstance(wanted, int | float | str) for wanted in expected)
    if isinstance(expected, list) and isinstance(got, tuple) and expected and of_numbers:
        return (
            "It returned a tuple; a list is needed. (A tuple is equal to no list, and nothing can be appended to it.)"
        )
    if not isinstance(got, list | tuple):
        return f"It returned {_kind(got)}; {_kind(expected)} of {len(expected)} is needed."
    if len(got) != len(expected):
        needed = "one entry is" if len(expected) == 1 else f"{len(expected)} entries are"
        return f"It returned {_kind(got)} of {len(got)}; {needed} needed."
    for i, (each, wanted) in enumerate(zip(got, expected, strict=True)):
        if problem := shape_problem(each, wanted, ""):
            return problem.replace("It returned", f"As entry {i} it returned", 1)
    return None


def finite_problem(got: Any, expected: Any) -> str | None:
    """A sentence if the result holds NaN or infinity where it should hold numbers."""
    if not (isinstance(got, Tensor) and isinstance(expected, Tensor) and got.is_floating_point()):
        return None
    bad = (~got.isfinite() & expected.isfinite().to(got.device)).nonzero()
    if len(bad) == 0:
        return None
    index = tuple(bad[0].tolist())
    where = f"Element {list(index)}" if index else "The result"
    why = _why_not_finite(got[index], asks_for_infinity=bool(expected.isinf().any()))
    return f"{where} is {number(got[index])}; {number(expected[index])} is needed. {why}"


def _why_not_finite(value: Tensor, *, asks_for_infinity: bool) -> str:
    if value.isnan():
        times = ", from 0 times infinity" if asks_for_infinity else ""
        return f"nan comes from 0 / 0{times}, or from a softmax in which everything is hidden."
    if asks_for_infinity:
        return "Infinity is needed in other places, and not in this one: what decides where it stands?"
    return "inf comes from `exp` or a power of a large number, or from a division by 0."


def value_problem(got: Any, expected: Any) -> str:
    """A sentence that shows where two results differ most."""
    if isinstance(got, Tensor) and isinstance(expected, Tensor) and got.shape == expected.shape and got.numel():
        index = worst_index(got, expected)
        where = f"Element {list(index)}" if index else "The result"
        found, needed = told_apart(got[index], expected[index])
        return f"{where} is {found}; {needed} is needed."
    if isinstance(got, list | tuple) and isinstance(expected, list | tuple) and len(got) == len(expected):
        i = next((i for i, pair in enumerate(zip(got, expected, strict=True)) if not same(*pair)), 0)
        return f"Entry {i}: {value_problem(got[i], expected[i])}"
    return f"It returned {written(got)}; {written(expected)} is needed."


def worst_index(got: Tensor, expected: Tensor) -> tuple[int, ...]:
    """Where two tensors of one shape differ most; NaN differs more than any number."""
    mine, its = got.detach().double().cpu(), expected.double().cpu()
    distance = (mine - its).abs().nan_to_num(nan=float("inf")).masked_fill(mine == its, 0.0)
    return tuple(int(i) for i in np.unravel_index(int(distance.argmax()), distance.shape))


def number(value: Any) -> str:
    """A number as a person would write it: four digits at most, True and False as they are."""
    value = value.item() if isinstance(value, Tensor) else value
    return str(value) if isinstance(value, bool | int) else f"{value + 0.0:.4g}"  # -0.0 + 0.0 is 0.0


def told_apart(got: Any, expected: Any) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to see that they differ, eight at most."""
    pair = number(got), number(expected)
    for digits in range(5, 9):
        if pair[0] == pair[1]:
            pair = f"{float(got):.{digits}g}", f"{float(expected):.{digits}g}"
    return pair


def written(value: Any) -> str:
    """A result as a person would write it; lists of numbers, too."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    return number(value) if isinstance(value, int | float) else repr(value)


def _family(dtype: torch.dtype) -> str:
    return "bool" if dtype == torch.bool else "float" if dtype.is_floating_point else "int"


def dtype_name(dtype: torch.dtype) -> str:
    """The name of a kind of numbers, such as "float32"."""
    return str(dtype).removeprefix("torch.")


def _kind(value: Any) -> str:
    names = {
        list: "a list",
        tuple: "a tuple",
        float: "a float",
        int: "an int",
        str: "a string",
        dict: "a dict",
        bytes: "bytes",
    }
    return names.get(type(value), f"a {type(value).__name__}")
