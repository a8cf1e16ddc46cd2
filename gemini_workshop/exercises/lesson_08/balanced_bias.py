"""Exercise 08.6, ``balanced_bias``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_08.tools import drawn_load
from gemini_workshop.models.routing import balanced_bias


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        (torch.tensor([0.5, 0.0, -0.5]), torch.tensor([0.5, 0.3, 0.2]), 0.1),
        (torch.tensor([0.3, -0.2, 0.0, 0.1]), torch.tensor([0.25, 0.25, 0.25, 0.25]), 0.1),
        (torch.tensor([0.0, 0.1, 0.2, 0.3]), torch.tensor([0.25, 0.5, 0.25, 0.0]), 0.01),
        (torch.tensor([0.02, 0.0, 0.1, 0.0, -0.1]), torch.tensor([0.9, 0.025, 0.025, 0.025, 0.025]), 0.02),
        (draw(6), drawn_load(generator, 6), 0.05),
        (draw(7), drawn_load(generator, 7), 0.001 * 30),
    ]


def _oracle(bias: Tensor, load: Tensor, rate: float) -> Tensor:
    mean = sum(load.tolist()) / len(load)
    steps = [-rate if value > mean else rate if value < mean else 0.0 for value in load.tolist()]
    return torch.tensor([old + step for old, step in zip(bias.tolist(), steps, strict=True)])


def _explain(function: Function, case: Arguments) -> str | None:
    bias, load, rate = case
    got, expected = function(*case), _oracle(*case)
    for e, (value, needed) in enumerate(zip(got, expected, strict=True)):
        if not same(value, needed):
            given = f"load {number(load[e])}, mean {number(load.mean())}, rate {number(rate)}"
            return (
                f"The bias of expert {e} went from {number(bias[e])} to {number(value)}; "
                f"{number(needed)} is needed ({given})."
            )
    return None


def _step(
    bias: Tensor,
    load: Tensor,
    rate: float,
    *,
    goal: Callable[[Tensor], Tensor] = torch.mean,
    size: Callable[[Tensor], Tensor] = torch.sign,
    factor: Callable[[float], float] = lambda rate: rate,
    old: Callable[[Tensor], Tensor] = lambda bias: bias,
) -> Tensor:
    """Right but for the steps: what the load is compared with, how far the bias moves, and from where."""
    return old(bias) + factor(rate) * size(goal(load) - load)


BALANCED_BIAS = Exercise(
    id="08.6",
    minutes=5,
    difficulty=2,
    importance=3,
    reference=balanced_bias,
    battery=Battery(gradients=False),
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "wrong direction": Say(
            "The bias of a busy expert rises, so that it is chosen even more often. It has to fall."
        ).to(_step, factor=lambda rate: -rate),
        "proportional to the difference": Say(
            "The step is as large as the difference in load. Here every step has the size of the rate: only the sign "
            "of the difference counts."
        ).to(_step, size=lambda difference: difference),
        "rate left out": Say("The steps have size 1. They should have the size of the rate.").to(
            _step, factor=lambda rate: 1.0
        ),
        "old bias forgotten": Say(
            "The old bias is forgotten. The new one is the old one, moved a step: many small steps add up."
        ).to(_step, old=torch.zeros_like),
        "only the busiest": Say(
            "Only the busiest expert's bias moves. Everyone above the mean goes down, and everyone below it goes up."
        ).to(lambda bias, load, rate: bias - rate * (load == load.max())),
        "only the busy ones": Say(
            "Only the biases of busy experts move. Those with less than the mean load go up by the same step."
        ).to(_step, size=lambda difference: difference.sign().clamp(max=0)),
        "only the idle ones": Say(
            "Only the biases of experts with little load move. Those with more than the mean go down by the same step."
        ).to(_step, size=lambda difference: difference.sign().clamp(min=0)),
        "compared with the median": Say(
            "The load is compared with the median. The even load is the mean: one busy expert may leave all others "
            "below it."
        ).to(_step, goal=torch.median),
        "compared with zero": Say(
            "The load is compared with 0, and everyone has more. Compare it with the mean load."
        ).to(_step, goal=lambda load: torch.zeros(())),
        "compared with one": Say(
            "The load is compared with 1, and everyone has less. Compare it with the mean load."
        ).to(_step, goal=lambda load: torch.ones(())),
        "multiplied": Say("The bias is multiplied by something near 1. Then a bias of 0 never moves. Add a step.").to(
            lambda bias, load, rate: bias * (1 + rate * (load.mean() - load).sign())
        ),
        "at the mean, down": Say(
            "An expert with exactly the mean load goes down, too. It has what it should have, and its bias stays."
        ).to(_step, size=lambda difference: torch.where(difference > 0, 1.0, -1.0)),
        "at the mean, up": Say(
            "An expert with exactly the mean load goes up, too. It has what it should have, and its bias stays."
        ).to(_step, size=lambda difference: torch.where(difference < 0, -1.0, 1.0)),
        "decayed": Say("The old bias shrinks at every step. It stays as it is, and a step is added.").to(
            lambda bias, load, rate: _step((1 - rate) * bias, load, rate)
        ),
    },
    hints=(
        "Which way should the bias of an expert with too many tokens go? How far?",
        "Compare each load with the mean load. Only the sign of the difference matters; the step has the size of the "
        "rate.",
        "`rate * (load.mean() - load).sign()` is the step. Return a new tensor and leave the old bias as it is.",
    ),
)
