"""How a module begins: the names that later cells read, and the values with which its parameters start."""

from typing import Any

import torch
from torch import Tensor, nn

from gemini_workshop.exercises.core.comparison import number
from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.modules import ModuleExercise
from gemini_workshop.exercises.core.pairing import pairing
from gemini_workshop.exercises.core.pristine import put_back


def start_problem(exercise: Exercise, answer: Any, cases: list[Arguments]) -> tuple[str, ...] | None:
    """A sentence about a name that is missing, or a parameter that starts as it should not."""
    if not isinstance(exercise, ModuleExercise):
        return None
    arguments = cases[-1][0].arguments
    before = torch.initial_seed()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(31)
        own = [answer(**arguments) for _ in range(2)]
        put_back()
        if torch.initial_seed() != 31:
            torch.manual_seed(before)
            return (
                "Building it seeds PyTorch's global generator: every module built after it starts with the same "
                "numbers. Leave `torch.manual_seed` to the notebook.",
            )
        references = [exercise.reference(**arguments) for _ in range(2)]
    if line := _unread(own[0], exercise.battery.reads):
        return (f"{line} What you call otherwise is right in its values: rename it.",)
    if line := _wrong_start(own, references):
        return (line,)
    return None


def missing_name(exercise: Exercise, answer: Any, case: Arguments) -> str | None:
    """A sentence about a name that later cells read and that is missing, whatever the values are."""
    if not isinstance(exercise, ModuleExercise) or not exercise.battery.reads:
        return None
    return _unread(answer(**case[0].arguments), exercise.battery.reads)


def _unread(module: nn.Module, names: tuple[str, ...]) -> str | None:
    for path in names:
        value: Any = module
        for name in path.split("."):
            value = getattr(value, name, None)
        if value is None:
            return f"Cells below read `{path}`, and there is nothing of that name."
    return None


def _wrong_start(own: list[nn.Module], references: list[nn.Module]) -> str | None:
    wanted = [dict(module.named_parameters()) for module in references]
    mine = [pairing(module, wanted[0]) for module in own]
    for name, first in wanted[0].items():
        if torch.equal(first, wanted[1][name]):
            if first.unique().numel() == 1 and not torch.equal(mine[0][name], first):
                return f"`{name}` should start at {number(first.flatten()[0])} throughout; it starts otherwise."
        elif line := _not_random(name, mine[0][name], mine[1][name]):
            return line
    return None


def _not_random(name: str, first: Tensor, second: Tensor) -> str | None:
    if first.numel() < 3:
        return None
    if first.unique().numel() == 1:
        return (
            f"`{name}` starts with {number(first.flatten()[0])} everywhere; small random numbers are needed. What "
            "starts alike goes on alike, and zeros may pass no gradient on."
        )
    if first.ndim > 1 and len(first) > 1 and bool((first == first[:1]).all()):
        return f"All rows of `{name}` start with the same numbers: draw each row for itself."
    if first.ndim > 1 and len(first) > 1 and not bool(first.flatten(1).any(1).all()):
        row = int((~first.flatten(1).any(1)).nonzero()[0])
        return f"Row {row} of `{name}` starts with zeros, unlike the others. Is `padding_idx` set?"
    if torch.equal(first, second):
        return f"`{name}` starts with the same numbers each time it is built. Is a seed fixed inside?"
    return None
