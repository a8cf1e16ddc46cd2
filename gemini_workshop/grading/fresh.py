"""Cases that no notebook has shown: the exercise's own, drawn with another seed.

Where an exercise is about a few whole numbers, another seed draws nothing new. There, numbers are multiplied, masks
flipped and lists turned round, and what the oracle and the reference then agree on is a case. Elsewhere it is not:
right answers may differ where no case of the exercise's own goes, such as beside a rounding.
"""

import math
import random
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.attempt import Attempt
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise

FACTORS = (2, 3)
MOST_DERIVED = 4
PUBLIC_SEED = 0  # what a notebook's check draws with


def candidates(exercise: Exercise, seed: int) -> list[Arguments]:
    """The exercise's cases of this seed, and after them whatever may be a case."""
    drawn, dice = drawn_cases(exercise, seed), random.Random(seed)
    return drawn + [_changed(case, factor, dice) for factor in FACTORS for case in drawn]


def drawn_cases(exercise: Exercise, seed: int) -> list[Arguments]:
    """The exercise's own cases."""
    return exercise.cases(torch.Generator().manual_seed(seed))


def usable(exercise: Exercise, seed: int) -> list[int]:
    """Which of the candidates are cases: those drawn, and a few others if the check has drawn all of them, too."""
    every, known = candidates(exercise, seed), drawn_cases(exercise, PUBLIC_SEED)
    drawn = range(len(known))
    if not all(is_same(every[i], known[i]) for i in drawn):
        return list(drawn)
    others = (i for i in range(len(known), len(every)) if not is_same(every[i], known[i % len(known)]))
    derived = (i for i in others if _is_clear(exercise, every[i]))
    return [*drawn, *(i for i, _ in zip(derived, range(MOST_DERIVED), strict=False))]


def is_same(case: Arguments, other: Arguments) -> bool:
    """Whether two cases have equal arguments."""
    try:
        return same(case, other)
    except (RuntimeError, TypeError, ValueError):  # of values that cannot be compared as a whole
        return False


def _is_clear(exercise: Exercise, case: Arguments) -> bool:
    try:
        right = exercise.oracle(*case)
        return same(Attempt(exercise.as_function(exercise.reference))(*case), right) and _is_finite(right)
    except Exception:  # no case at all, then
        return False


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return all(map(_is_finite, value)) if isinstance(value, list | tuple) else True


def _changed(value: Any, factor: int, dice: random.Random) -> Any:
    """A value of the same kind with other numbers; what is of another kind stays as it is."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value * factor if value > 1 else value
    if isinstance(value, float):
        return value * (1 + 0.1 * factor)
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(_changed(each, factor, dice) for each in value)
    if type(value) is list:
        changed = [_changed(each, factor, dice) if isinstance(each, float) else each for each in value]
        return dice.sample(changed, len(changed))
    if isinstance(value, Tensor) and value.dtype == torch.bool:
        return value ^ (torch.rand(value.shape, generator=torch.Generator().manual_seed(dice.randrange(2**31))) < 0.3)
    return value
