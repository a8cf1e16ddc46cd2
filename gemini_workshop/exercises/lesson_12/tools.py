"""Lesson 12, text generation: what its exercises share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.battery.tracing import in_kind
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function
from gemini_workshop.exercises.core.tools import vector


@dataclass(frozen=True, kw_only=True)
class LogitsExercise(Exercise):
    """An exercise whose result is logits. Judged is what they mean: the probabilities that a softmax makes of them."""

    battery: Battery = field(default_factory=lambda: Battery(gradients=False))

    def as_function(self, answer: Function) -> Function:  # noqa: D102 (as in Exercise)
        return lambda *args: probabilities(answer(*args))

    def in_dtype(self, answer: Function, case: Arguments, dtype: torch.dtype) -> Callable[[], Any]:  # noqa: D102
        return lambda: answer(*in_kind(case, dtype)).softmax(-1)


def probabilities(logits: Any) -> Any:
    """The softmax of logits in float64; anything else remains as it is."""
    is_logits = isinstance(logits, Tensor) and logits.is_floating_point() and logits.ndim > 0
    return logits.double().softmax(-1) if is_logits else logits


def explained(oracle: Function, setting: str) -> Callable[[Function, Arguments], str | None]:
    """How to explain a failing case of logits and one number: the first row whose probabilities are wrong."""

    def explain(function: Function, case: Arguments) -> str | None:
        logits, number = case[0], case[-1]
        got, expected = function(*case), oracle(*case)
        rows = (each.flatten(0, -2) if each.ndim > 1 else each[None] for each in (logits, got, expected))
        for row, mine, needed in zip(*rows, strict=True):
            if not same(mine, needed):
                before = vector(row.double().softmax(-1))
                return (
                    f"With {setting}={number}, the probabilities {before} become {vector(mine)}; {vector(needed)} is "
                    "needed."
                )
        return None

    return explain


def log_of(*rows: tuple[float, ...]) -> Tensor:
    """Logits with these probabilities; one row gives one axis."""
    logits = torch.tensor(rows).log()
    return logits[0] if len(rows) == 1 else logits
