"""Does a call know nothing of the calls before it: in another order, with other numbers, and the first once more?"""

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.attempt import Attempt, CrashedError, UnfitAnswer
from gemini_workshop.exercises.core.battery.tracing import mapped, tensors_in
from gemini_workshop.exercises.core.comparison import same, shape_problem, value_problem
from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.modules import ModuleExercise

KEPT = (
    "Called again with the same arguments it gives another answer: something is kept from call to call, in a global "
    "name or in a default such as `states=[]`, which is made once and shared. Make it inside the function. "
    "(`torch.empty` keeps what was in memory before.)"
)
TURNED = "It is right for the examples, and not for other numbers in tensors of the same shapes."
MIXED = "It is right for the examples, and not when `{}` alone is that of another one."
KEPT_IN_SELF = (
    "something that an earlier call left in `self` is used again. Compute it in every call of `forward`, and keep only "
    "parameters and sizes."
)


def state_problem(exercise: Exercise, answer: Any, cases: list[Arguments]) -> tuple[str, ...] | None:
    """A sentence if what was called before changes what comes now."""
    function = exercise.as_function(answer)
    first = kept(Attempt(function)(*cases[0]))
    for case in reversed(cases):
        Attempt(function)(*case)
    if not same(Attempt(function)(*cases[0]), first):
        return (KEPT,)
    if same(_turned(cases[0]), cases[0]) and (
        line := _other_numbers(exercise, answer, cases[0], _reversed(cases[0]), TURNED)
    ):
        return (line,)
    for case in cases[-3:]:
        line = _of_module(exercise, answer, case, cases) if isinstance(exercise, ModuleExercise) else None
        if line := line or _other_numbers(exercise, answer, case, _turned(case), TURNED):
            return (line,)
    for name, case, mixed in _mixed(exercise.parameter_names(), cases):
        if line := _other_numbers(exercise, answer, case, mixed, MIXED.format(name)):
            return (line,)
    return None


def _mixed(names: list[str], cases: list[Arguments]) -> Iterator[tuple[str, Arguments, Arguments]]:
    """The name of an argument; a case; and that case with this argument of another, which a memory would not notice.

    Each argument that is not a number, once: of the first two cases in which it differs in nothing but its content.
    """
    for i in range(len(cases[0])):
        pairs = ((a, b) for a, b in combinations(cases, 2) if max(i + 1, 2) <= min(len(a), len(b)))
        if found := next((pair for pair in pairs if _is_other_content(pair[0][i], pair[1][i])), None):
            case, other = found
            yield names[i], case, (*case[:i], other[i], *case[i + 1 :])


def _is_other_content(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and not same(a, b)
    return type(a) is type(b) and isinstance(a, list | dict | bytes | str) and not same(a, b)


def _other_numbers(exercise: Exercise, answer: Any, case: Arguments, turned: Arguments, where: str) -> str | None:
    """A case with other content, which a memory of its shapes, or of the other arguments, would take for the same."""
    needed = None if same(turned, case) and not _dicts_in(case) else agreed(exercise, turned, exercise.oracle(*case))
    if needed is None:
        return None
    got = Attempt(exercise.as_function(answer))(*turned)
    if same(got, needed):
        return None
    problem = shape_problem(got, needed, exercise.result_axes()) or value_problem(got, needed)
    return f"{where} Is something remembered from an earlier call, or written into the code? {problem}"


def agreed(exercise: Exercise, case: Arguments, like: Any = None) -> Any:
    """What is needed in a case that nobody wrote down; None if it makes no sense.

    Args:
        like: what is needed in the case that it was made of: infinity is of use where that holds it, too.
    """
    try:
        needed = exercise.oracle(*case)
        got = exercise.as_function(exercise.reference)(*case)
    except Exception:  # such numbers cannot be in these places
        return None
    return needed if (_is_finite(needed) or not _is_finite(like)) and same(got, needed) else None


def _is_finite(result: Any) -> bool:
    return all(bool(each.isfinite().all()) for each in tensors_in(result) if each.is_floating_point())


def _of_module(exercise: ModuleExercise, answer: Any, case: Arguments, cases: list[Arguments]) -> str | None:
    """One module: a call twice, other calls between, each compared with what a new module says to it."""
    used = exercise.reused(answer, case)
    once = kept(Attempt(used)(case))
    if not same(Attempt(used)(case), once):
        return f"One and the same module gives another answer at its second call: {KEPT_IN_SELF}"
    for other in _others(case, cases):
        alone = _quietly(lambda other=other: exercise.reused(answer, other)(other))
        if alone is not None and not same(_quietly(lambda other=other: used(other)), alone):
            return f"One and the same module gives another answer after a call with other arguments: {KEPT_IN_SELF}"
    if not same(Attempt(used)(case), once):
        return f"A call with other arguments changes what the next ones give: {KEPT_IN_SELF}"
    for other in [other for other in cases if other[0] != case[0]][:1]:
        _quietly(lambda other=other: exercise.reused(answer, other)(other))
        if not same(Attempt(used)(case), once):
            return (
                "A module gives another answer after another one was built with other arguments: something is kept on "
                "the class, or in a global name, and is shared by all. Keep it in `self`."
            )
    trained_before = exercise.reused(answer, case, training=False, after=(_turned(case),))
    if not same(Attempt(trained_before)(case), once):
        return "After `.eval()` the module gives another answer. Nothing here depends on whether it is being trained."
    return None


def _others(case: Arguments, cases: list[Arguments]) -> Iterator[Arguments]:
    """Calls that could come next: other numbers, fewer arguments, fewer rows, other cases of the same sizes."""
    yield _turned(case)
    yield from (case[:length] for length in range(2, len(case)))
    yield tuple(mapped(each, lambda tensor: tensor[:1]) for each in case)
    yield from (other for other in cases if other is not case and other[0] == case[0])


def _turned(case: Arguments) -> Arguments:
    """The same numbers in other rows; those of a tensor with one axis in reverse."""
    return tuple(_with_other_order(mapped(each, _in_other_rows)) for each in case)


def _reversed(case: Arguments) -> Arguments:
    """The same numbers in reverse along every axis, which changes a tensor of one row, too."""
    return tuple(mapped(each, lambda tensor: tensor.flip(tuple(range(tensor.ndim)))) for each in case)


def _with_other_order(value: Any) -> Any:
    """A dictionary with the same entries, made in the opposite order."""
    return dict(reversed(value.items())) if isinstance(value, dict) else value


def _dicts_in(case: Arguments) -> bool:
    return any(isinstance(each, dict) for each in case)


def _in_other_rows(tensor: Tensor) -> Tensor:
    return tensor.flip(tuple(range(max(1, tensor.ndim - 1)))) if tensor.ndim else tensor


def _quietly(call: Callable[[], Any]) -> Any:
    try:
        return kept(Attempt(call)())
    except (CrashedError, UnfitAnswer):
        return None


def kept(result: Any) -> Any:
    """A copy of a result, which a later call cannot change."""
    return mapped(result, lambda tensor: tensor.detach().clone())


def twice_problem(attempt: Callable[..., Any], case: Arguments) -> str | None:
    """A sentence if two calls with the same arguments differ: by chance, or because something is kept in between."""
    seed = 20
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = kept(attempt(*case))
        torch.manual_seed(seed)
        second = kept(attempt(*case))
        torch.manual_seed(seed + 1)
        third = attempt(*case)
    if not same(first, second):
        return KEPT
    if not same(first, third):
        return "Called twice with the same arguments it gave two answers. Is something random left on?"
    return None
