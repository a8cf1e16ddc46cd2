"""Ways of calling: by name, in another order of arguments, and with far larger arguments than the examples."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.attempt import Attempt, CrashedError, UnfitAnswer
from gemini_workshop.exercises.core.battery.tracing import tensors_in
from gemini_workshop.exercises.core.comparison import finite_problem, same, shape_problem, value_problem
from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.plain import shown

WRITTEN_IN = "Is a size, a number of axes or a largest number written into the code?"


def name_problem(exercise: Exercise, answer: Any) -> tuple[str, ...] | None:
    """A sentence if arguments that cells below pass by name have another name here, or another place."""
    for given, wanted in exercise.signatures(answer):
        line = _renamed(given, wanted, exercise.battery.by_name) or _reordered(given, wanted)
        if line := line or _other_default(given, wanted):
            return (line,)
    return None


def _other_default(given: Callable[..., Any], wanted: Callable[..., Any]) -> str | None:
    """A sentence about a number, a text or True and False that is taken when an argument is left out."""
    parameters = _parameters(given) or {}
    for name, parameter in inspect.signature(wanted).parameters.items():
        needed, found = parameter.default, parameters[name].default if name in parameters else parameter.default
        if isinstance(needed, bool | int | float | str) and not _is_equal(found, needed):
            taken = "has no default" if found is parameter.empty else f"is {shown(repr(found), 80)} when it is left out"
            return f"`{name}` {taken}; it should be {needed!r}. Keep the first line as it was given."
    return None


def _renamed(given: Callable[..., Any], wanted: Callable[..., Any], by_name: tuple[str, ...]) -> str | None:
    parameters = _parameters(given)
    if parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    for name, parameter in inspect.signature(wanted).parameters.items():
        if (parameter.default is not parameter.empty or name in by_name) and name not in parameters:
            found = ", ".join(parameters)
            return f"Cells below pass `{name}=` by name, and this takes ({found}). Keep the first line as it was given."
    return None


def _is_equal(found: Any, needed: Any) -> bool:
    return isinstance(found, bool) == isinstance(needed, bool) and bool(found == needed)


def _reordered(given: Callable[..., Any], wanted: Callable[..., Any]) -> str | None:
    parameters = _parameters(given)
    names = [n for n, p in inspect.signature(wanted).parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    if parameters is None:
        return None
    own = [name for name in parameters if name in names]
    if own == [name for name in names if name in own]:
        return None
    return f"The arguments come as ({', '.join(names)}), and this takes them as ({', '.join(own)})."


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # built-in functions have none to show
        return None


def beyond_problem(exercise: Exercise, answer: Any) -> tuple[str, ...] | None:
    """A sentence about the first large case, or one with other batch axes, that goes wrong."""
    function = exercise.as_function(answer)
    for case in exercise.battery.beyond(torch.Generator().manual_seed(3)):
        if line := _beyond(exercise, function, case):
            return (
                (line,)
                if "far from 0" in line
                else (line, "Is a size, a number of axes or a largest number written into the code?")
            )
    return None


def _beyond(exercise: Exercise, function: Callable[..., Any], case: Arguments) -> str | None:
    needed = exercise.oracle(*case)
    sizes = ", ".join(sizes_of(exercise.parameter_names(), case))
    try:
        got = Attempt(function)(*case)
    except (CrashedError, UnfitAnswer) as crash:
        return f"It is right for small inputs, but with {sizes} it fails: {reason(crash)}"
    if same(got, needed) or _nearly_same(got, needed):
        return None
    if any(map(finite_problem, tensors_in(got), tensors_in(needed))):
        return (
            "It is right for numbers of ordinary size, and not for those far from 0: there it gives nan or infinity. "
            "In float32 exp(89) is already infinite; which form of the function keeps clear of that?"
        )
    problem = shape_problem(got, needed, exercise.result_axes()) or value_problem(got, needed)
    return f"It is right for small inputs, but with {sizes} it is wrong. {problem}"


def _nearly_same(got: Any, needed: Any) -> bool:
    """Whether large results agree but for rounding, which grows with their size."""
    if not (isinstance(got, Tensor) and isinstance(needed, Tensor) and got.shape == needed.shape):
        return False
    if not (got.is_floating_point() and needed.is_floating_point()):
        return False
    return bool((got.detach().double() - needed.double()).norm() <= 1e-3 * needed.double().norm())


def reason(crash: CrashedError | UnfitAnswer) -> str:
    """Why a call did not come back, in a line."""
    return " ".join(crash.lines[-2:]) if isinstance(crash, CrashedError) else str(crash)


def sizes_of(names: list[str], case: Arguments) -> Iterator[str]:
    """Each argument with its shape or its value; functions are left out."""
    for name, value in zip(names, case, strict=False):
        if isinstance(value, Tensor):
            yield f"{name} {tuple(value.shape)}"
        elif not callable(value) and value is not None:
            yield f"{name} = {' '.join(repr(value).split())}"[:60]
