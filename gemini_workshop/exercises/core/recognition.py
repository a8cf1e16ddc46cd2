"""Recognize known mistakes: code that goes wrong as a misconception does, on the cases that can tell.

In this order: the same on every case as one mistake of this exercise, as one of a smaller exercise inside it, as two
mistakes at once, as right code that is given something else or has one step changed, as one mistake in each part of
the result; and at last, the same wherever the mistake shows.
"""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.attempt import Attempt, CrashedError, NotStarted, UnfitAnswer
from gemini_workshop.exercises.core.battery.tracing import tensors_in
from gemini_workshop.exercises.core.bends import bends
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Misconception
from gemini_workshop.exercises.core.inherited import inherited
from gemini_workshop.exercises.core.modules import ModuleExercise
from gemini_workshop.exercises.core.nearly import nearly_right
from gemini_workshop.exercises.core.plain import plain

NEAR = 0.02
ROUNDING = 2e-3
ENOUGH_NUMBERS = 4
SEARCH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Recognized:
    """A mistake that was made: its short name, and what to say."""

    name: str
    says: str


@dataclass(frozen=True, slots=True)
class _Crash:
    """A call that ended in an error of this type."""

    kind: type[BaseException]


@dataclass(frozen=True, slots=True)
class _Refused:
    """A call that did not come about, because the answer is unfit for this reason."""

    reason: str


def recognize(exercise: Exercise, function: Callable[..., Any], cases: list[Arguments]) -> Recognized | None:
    """The misconception that goes wrong as the learner's code does.

    At least one case must end in a wrong value, or be refused: that two functions crash alike says nothing about why.
    """
    needed = [exercise.oracle(*case) for case in cases]
    learner = [_behaviour(function, case) for case in cases]
    if all(isinstance(got, _Crash) or same(got, right) for got, right in zip(learner, needed, strict=True)):
        return None
    known = {**exercise.misconceptions, **inherited(exercise)}
    for candidates in (known, dict(_pairs(exercise.misconceptions))):
        for name, mistake in candidates.items():
            if _is_alike(exercise, mistake, learner, cases):
                return Recognized(name, mistake.says)
    if _only_rounded(learner, needed):
        return None
    if step := _nearly(exercise, learner, needed, cases):
        return Recognized("nearly right", step)
    behaviours = {name: _behaviours(exercise, mistake, cases) for name, mistake in known.items()}
    own = {name: behaviours[name] for name in exercise.misconceptions}
    names = (
        _one_for_each_part(behaviours, learner, needed)
        or _where_it_shows(own, learner, needed)
        or _where_it_shows(behaviours, learner, needed)  # a part's mistake may be the same as one of the whole
    )
    says = dict.fromkeys(known[name].says for name in names)
    return Recognized(names[0], " ".join(says)) if len(names) > 0 else None


def _nearly(exercise: Exercise, learner: list[Any], needed: list[Any], cases: list[Arguments]) -> str | None:
    """What is changed in right code, or in what it is given, that then does the same.

    A refusal says nothing about values, save that of a module, which is about the shapes of its parameters.
    """
    pairs = zip(learner, needed, strict=True)
    if not all(isinstance(got, _Crash | _Refused) or same(got, right) for got, right in pairs):
        return _given_something_else(exercise, learner, cases) or _one_step_from_right(exercise, learner, cases)
    return _one_step_from_right(exercise, learner, cases) if isinstance(exercise, ModuleExercise) else None


def _given_something_else(exercise: Exercise, learner: list[Any], cases: list[Arguments]) -> str | None:
    """With which change of its arguments or its result right code does the same; two of them, where two fit."""
    fitting = (words for words, bent in bends(exercise, cases) if _does_the_same(bent, learner, cases))
    fit = list(islice(fitting, 2))
    return f"It behaves as if {', or as if '.join(fit)}." if fit else None


def _one_step_from_right(exercise: Exercise, learner: list[Any], cases: list[Arguments]) -> str | None:
    """The change of right code that does the same on every case; looked for during a limited time."""
    end = time.thread_time() + SEARCH_SECONDS
    for change in nearly_right(exercise):
        if _is_alike(exercise, change, learner, cases):
            return change.says
        if time.thread_time() > end:
            break
    return None


def _is_alike(exercise: Exercise, mistake: Misconception, learner: list[Any], cases: list[Arguments]) -> bool:
    """Whether a mistake does the same on every case."""
    return _does_the_same(exercise.as_function(mistake.wrong), learner, cases)


def _does_the_same(wrong: Callable[..., Any], learner: list[Any], cases: list[Arguments]) -> bool:
    """Lazily, since most wrong functions differ on the first case."""
    return all(_same_behaviour(got, _of_ours(wrong, case)) for got, case in zip(learner, cases, strict=True))


def _pairs(mistakes: Any) -> Iterator[tuple[str, Misconception]]:
    """Two mistakes at once, where both are steps of one template; by the name of the first."""
    for (name, one), (_, other) in combinations(mistakes.items(), 2):
        if both := one.and_also(other):
            yield f"{name}", both


def _behaviours(exercise: Exercise, mistake: Misconception, cases: list[Arguments]) -> list[Any]:
    wrong = exercise.as_function(mistake.wrong)
    return [_of_ours(wrong, case) for case in cases]


def _behaviour(function: Callable[..., Any], case: Arguments) -> Any:
    try:
        return Attempt(function)(*case)
    except NotStarted:
        return _Crash(NotImplementedError)
    except UnfitAnswer as unfit:
        return _Refused(str(unfit))
    except CrashedError as crash:
        return _Crash(type(crash.cause))


def _of_ours(function: Callable[..., Any], case: Arguments) -> Any:
    """The same for code of this package, which breaks nothing that would have to be put back: much faster."""
    try:
        return plain(function(*copy.deepcopy(case)))
    except UnfitAnswer as unfit:
        return _Refused(str(unfit))
    except Exception as error:
        return _Crash(type(error))


def _same_behaviour(a: Any, b: Any) -> bool:
    if isinstance(a, _Crash | _Refused) or isinstance(b, _Crash | _Refused):
        return bool(a == b)
    return same(a, b)


def _one_for_each_part(behaviours: dict[str, list[Any]], learner: list[Any], needed: list[Any]) -> list[str]:
    """A mistake for each wrong part of results that have several, where each part goes wrong in a way of its own."""
    everything = [*learner, *needed]
    parts = len(needed[0]) if isinstance(needed[0], tuple) else 0
    if parts < 2 or not all(isinstance(result, tuple) and len(result) == parts for result in everything):
        return []
    names = []
    for part in range(parts):
        got, right = [result[part] for result in learner], [result[part] for result in needed]
        if _all_same(got, right):
            continue
        found = next((n for n, results in behaviours.items() if _all_same(got, _parts(results, part))), None)
        if found is None:
            return []
        names.append(found)
    return names


def _parts(results: list[Any], part: int) -> list[Any]:
    return [result[part] if isinstance(result, tuple) and len(result) > part else None for result in results]


def _all_same(a: list[Any], b: list[Any]) -> bool:
    return all(same(x, y) for x, y in zip(a, b, strict=True))


def _where_it_shows(behaviours: dict[str, list[Any]], learner: list[Any], needed: list[Any]) -> list[str]:
    """The one mistake with which the learner's code agrees wherever that mistake gives a wrong value.

    Elsewhere it may differ: in a second mistake, an eps, a way to hide. Where two mistakes fit alike none is named.
    """
    scores = {name: _agreement(results, learner, needed) for name, results in behaviours.items()}
    best = max(scores.values(), default=0)
    names = [name for name, score in scores.items() if score == best]
    return names if best > 0 and len(names) == 1 else []


def _agreement(wrong: list[Any], learner: list[Any], needed: list[Any]) -> int:
    """On how many telling cases the learner's code does the same; 0 if on fewer than three quarters of them."""
    telling = [
        (m, got, right)
        for m, got, right in zip(wrong, learner, needed, strict=True)
        if not isinstance(m, _Crash | _Refused) and not same(m, right) and _numbers(m) is not None
    ]
    agree = sum(_is_nearer(*results) for results in telling)
    return agree if telling and agree >= 0.75 * len(telling) else 0


def _is_nearer(wrong: Any, got: Any, right: Any) -> bool:
    """Whether a result is fifty times nearer to the mistake than the mistake is to what is needed.

    Tensors of other shapes are not near or far: there the result has to be the mistake, but for rounding.
    """
    w, g, r = _numbers(wrong), _numbers(got), _numbers(right)
    if w is None or g is None or _shapes(got) != _shapes(wrong) or len(g) < ENOUGH_NUMBERS:
        return False
    if r is None or _shapes(right) != _shapes(wrong):
        return bool((g - w).norm() <= ROUNDING * w.norm())
    return bool((g - w).norm() <= NEAR * (w - r).norm())


def _only_rounded(learner: list[Any], needed: list[Any]) -> bool:
    """Whether results are wrong in their last digits alone: then whatever leaves them nearly as they are would fit."""
    pairs = [(got, right) for got, right in zip(learner, needed, strict=True) if not same(got, right)]
    rows = [(_numbers(got), _numbers(right), _shapes(got) == _shapes(right)) for got, right in pairs]
    return all(
        alike and got is not None and right is not None and bool((got - right).norm() <= ROUNDING * right.norm())
        for got, right, alike in rows
    )


def _shapes(result: Any) -> list[torch.Size]:
    return [tensor.shape for tensor in tensors_in(result)]


def _numbers(result: Any) -> Tensor | None:
    """All numbers of a result in a row, if it is made of tensors and they are finite."""
    tensors = [tensor.detach().double().flatten() for tensor in tensors_in(result)]
    row = torch.cat(tensors) if tensors else None
    return row if row is not None and bool(row.isfinite().all()) else None
