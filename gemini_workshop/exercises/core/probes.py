"""What is asked of every answer, from the outside in, and how a failing case is shown.

Can it be called, does it come back, are shape and type right, are the numbers finite, are the arguments left alone,
does it say the same twice, do the invariants hold, do the values agree with an independent oracle; and if they do,
everything in :mod:`gemini_workshop.exercises.core.battery`.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.attempt import Attempt, CrashedError, UnfitAnswer
from gemini_workshop.exercises.core.axes import names_of_sizes
from gemini_workshop.exercises.core.battery.examine import battery_problem
from gemini_workshop.exercises.core.battery.memory import twice_problem
from gemini_workshop.exercises.core.battery.starts import missing_name
from gemini_workshop.exercises.core.comparison import finite_problem, same, shape_problem, value_problem, written
from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.messages import explained
from gemini_workshop.exercises.core.relations import place, relation

Results = list[tuple[Arguments, Any, Any]]
_SAYS_THE_SAME = re.compile(r"(?<!\S)(\([^()]*\)|[^\s;]+); (?:it should be )?\1(?= is needed|\.| \()")


def problems(exercise: Exercise, answer: Any, attempt: Attempt, cases: list[Arguments]) -> Iterator[tuple[str, ...]]:
    """What is wrong, from the outside in; lazily, so that the first problem costs no more than itself."""
    if line := exercise.signature_problem(answer, cases[0]):
        yield (line,)
    results: Results = []
    for case in cases:
        got, expected = _called(exercise, attempt, case), exercise.oracle(*case)
        results.append((case, got, expected))
        yield from _problems_of_form(exercise, attempt, case, got, expected, cases)
    wrong = [result for result in results if not same(result[1], result[2])]
    if line := _quietly(lambda: relation(exercise, wrong)):
        yield line, *_explained(exercise, attempt, *wrong[0])
    for invariant in exercise.invariants:
        if line := invariant.broken(attempt):
            yield (line,)
    if wrong:
        line = _quietly(lambda: Attempt(lambda: missing_name(exercise, answer, cases[-1]))())
        line = line or _unused(exercise, attempt, [case for case, *_ in results]) or _quietly(lambda: place(wrong))
        yield *filter(None, [line]), *_explained(exercise, attempt, *wrong[0])
    if not wrong and (lines := Attempt(lambda: battery_problem(exercise, answer, cases))()):
        yield lines


def counterexample(exercise: Exercise, attempt: Attempt, cases: list[Arguments]) -> tuple[str, ...]:
    """What is wrong in the first case that ends in a wrong value."""
    for case in cases:
        try:
            got = attempt(*case)
        except (CrashedError, UnfitAnswer):
            continue
        expected = exercise.oracle(*case)
        if not same(got, expected):
            if line := _shape_problem(exercise, got, expected):
                return line, _given(exercise, case)
            return _explained(exercise, attempt, case, got, expected)
    return ()


def _called(exercise: Exercise, attempt: Attempt, case: Arguments) -> Any:
    """The result; an error comes with what it means in the lesson's terms."""
    try:
        return attempt(*case)
    except CrashedError as crash:
        meaning = explained(crash.cause, names_of_sizes(exercise, case))
        lines = (*crash.lines, meaning or _given(exercise, case))
        raise CrashedError(lines, crash.cause) from None


def _problems_of_form(
    exercise: Exercise, attempt: Attempt, case: Arguments, got: Any, expected: Any, cases: list[Arguments]
) -> Iterator[tuple[str, ...]]:
    """Shape, kind and finiteness of one result, and what the call did besides."""
    if line := _shape_problem(exercise, got, expected):
        how = _quietly(lambda: relation(exercise, _wrong_results(exercise, attempt.function, cases)))
        yield tuple(filter(None, (line, how, _given(exercise, case))))
    if line := finite_problem(got, expected):
        yield line, _given(exercise, case)
    if attempt.changed_argument is not None:
        name = exercise.parameter_names()[attempt.changed_argument]
        yield (f"It changes its argument `{name}`. Work on a copy: the caller still needs the old values.",)
    if line := twice_problem(attempt, case):
        yield (line,)


def _wrong_results(exercise: Exercise, function: Callable[..., Any], cases: list[Arguments]) -> Results:
    """All cases that end in a wrong value."""
    results: Results = []
    for case in cases:
        try:
            got = Attempt(function)(*case)
        except (CrashedError, UnfitAnswer):
            continue
        if not same(got, expected := exercise.oracle(*case)):
            results.append((case, got, expected))
    return results


def _shape_problem(exercise: Exercise, got: Any, expected: Any) -> str | None:
    """None for a list of another length, such as ids of a text, which is a wrong value that an exercise can explain."""
    are_lists = isinstance(expected, list) and isinstance(got, list)
    if exercise.explain is not None and are_lists and len(got) != len(expected):
        return None
    return shape_problem(got, expected, exercise.result_axes())


def _quietly(explain: Callable[[], str | None]) -> str | None:
    try:
        return explain()
    except Exception:  # an explanation must never hide the verdict
        return None


def _unused(exercise: Exercise, attempt: Attempt, cases: list[Arguments]) -> str | None:
    """A sentence about an argument that matters and makes no difference in any case."""
    generator = torch.Generator().manual_seed(9)
    for i, name in enumerate(exercise.parameter_names()):
        given = [case for case in cases if len(case) > i and _can_change(case[i])]
        try:
            matters = [case for case in given if _differs(exercise.oracle, case, i, generator)]
            if matters and not any(_differs(attempt, case, i, generator) for case in matters):
                return f"Whatever `{name}` is, the result is the same. Where should it come in?"
        except Exception:  # a changed argument may be one that makes no sense
            continue
    return None


def _can_change(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.is_floating_point() or value.dtype == torch.bool
    return isinstance(value, int | float) and not isinstance(value, bool)


def _differs(function: Any, case: Arguments, i: int, generator: torch.Generator) -> bool:
    value = case[i]
    other = _another(value, generator)
    return not same(function(*case[:i], other, *case[i + 1 :]), function(*case))


def _another(value: Any, generator: torch.Generator) -> Any:
    if isinstance(value, int | float):
        return 2 * value if isinstance(value, int) else 0.7 * value  # a size may have to be even
    return ~value if value.dtype == torch.bool else value + torch.randn(value.shape, generator=generator)


def _explained(exercise: Exercise, attempt: Attempt, case: Arguments, got: Any, expected: Any) -> tuple[str, ...]:
    if exercise.explain is not None:
        try:
            if (line := exercise.explain(attempt, case)) and not _SAYS_THE_SAME.search(line):
                return (line,)
        except Exception:  # an explanation must never hide the verdict
            pass
    line = shape_problem(got, expected, exercise.result_axes()) or value_problem(got, expected)
    return line, _given(exercise, case)


def _given(exercise: Exercise, case: Arguments) -> str:
    """The arguments of a case in a few words: small ones whole, tensors of many numbers by their shape."""
    words = (f"{name} {_brief(value)}" for name, value in zip(exercise.parameter_names(), case, strict=False))
    return f"Given: {' · '.join(words)}."


def _brief(value: Any) -> str:
    if isinstance(value, Tensor):
        return str(tuple(value.shape)) if value.numel() > 6 else f"= {written(value.tolist())}"
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # such as Media, of several tensors
        parts = (f"{name} {_brief(part)}" for name, part in zip(value._fields, value, strict=True))
        return f"= {type(value).__name__}({', '.join(parts)})"
    return f"= {getattr(value, '__name__', repr(value))}"
