"""Exercise 02.1, ``softmax``: its cases, and what learners get wrong."""

import math

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.core.tools import vector
from gemini_workshop.exercises.lesson_02.tools import normalized
from gemini_workshop.models.attention import softmax


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (torch.tensor([1.0, 2.0]),),
        (torch.tensor([1000.0, 1001.0]),),
        (torch.tensor([-800.0, 0.0, 800.0]),),
        (torch.tensor([[0.0, 1.0, 2.0], [1000.0, 1001.0, 1002.0]]),),
        (torch.randn(3, 3, generator=generator),),
        (torch.randn(4, 5, generator=generator),),
        (torch.randn(3, 4, 5, generator=generator), 1),
    ]


def _oracle(scores: Tensor, dim: int = -1) -> Tensor:
    return torch.softmax(scores.double(), dim)


def _explain(function: Function, case: Arguments) -> str | None:
    scores = case[0]
    if scores.ndim > 1:
        return None
    got, expected = function(*case), _oracle(*case)
    return f"Scores {vector(scores)} gave {vector(got)}; {vector(expected)} is needed."


def _do_not_sum_to_one(function: Function) -> str | None:
    scores = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1))
    for dim in (-1, 1):
        total = float(function(scores, dim).sum(dim).flatten()[0])
        if not math.isclose(total, 1.0, abs_tol=1e-4):
            return f"With dim={dim} the results along that axis add up to {number(total)} and not to 1."
    return None


SOFTMAX = Exercise(
    id="02.1",
    minutes=5,
    difficulty=2,
    importance=5,
    reference=softmax,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="probabilities sum to one", broken=_do_not_sum_to_one),),
    battery=Battery(
        untrained="lesson 02 trains nothing",
        by_name=("dim",),
        beyond=lambda generator: [
            (torch.randn(3, 700, generator=generator),),
            (torch.randn(2, 3, 4, 5, generator=generator), 0),
        ],
    ),
    misconceptions={
        "overflows": Say(
            "exp(1000) does not fit in a float. Subtracting the same number from every score changes no probability: "
            "which number is safe?"
        ).to(lambda scores, dim=-1: scores.exp() / scores.exp().sum(dim, keepdim=True)),
        "subtracts the smallest": Say(
            "After the subtraction some scores are still huge, and exp overflows. The number to subtract must leave "
            "none above zero."
        ).to(lambda scores, dim=-1: normalized((scores - scores.amin(dim, keepdim=True)).exp(), dim)),
        "one maximum for all rows": Say(
            "One maximum is subtracted from all rows. A row far below it then becomes all zeros, and 0 / 0 is not a "
            "number: each row needs its own."
        ).to(lambda scores, dim=-1: normalized((scores - scores.max()).exp(), dim)),
        "ignores dim": Say(
            "It looks as if `dim` is ignored: the probabilities always sum to one along the last axis."
        ).to(lambda scores, dim=-1: torch.softmax(scores, -1)),
        "over the whole tensor": Say(
            "The sum runs over the whole tensor, so that all rows have one total. Each row is a separate question: "
            "sum along `dim` only."
        ).to(lambda scores, dim=-1: torch.softmax(scores.flatten(), 0).view_as(scores)),
        "axis lost in the sum": Say(
            "The sum has lost the axis that it ran over, so it lines up with the wrong axis or with none. "
            "`keepdim=True` keeps the axis."
        ).to(lambda scores, dim=-1: scores.exp() / scores.exp().sum(dim)),
        "axis lost in the sum, scores shifted": Say(
            "The sum has lost the axis that it ran over, so it lines up with the wrong axis or with none. "
            "`keepdim=True` keeps the axis."
        ).to(
            lambda scores, dim=-1: (
                (scores - scores.amax(dim, keepdim=True)).exp()
                / (scores - scores.amax(dim, keepdim=True)).exp().sum(dim)
            )
        ),
        "no exponential": Say(
            "Dividing scores by their sum is not enough: a score below zero would get a probability below zero. What "
            "makes every number positive and keeps their order?"
        ).to(lambda scores, dim=-1: scores / scores.sum(dim, keepdim=True)),
        "logarithms of the probabilities": Say(
            "These are the logarithms of the probabilities. Probabilities are between 0 and 1."
        ).to(lambda scores, dim=-1: torch.log_softmax(scores, dim)),
        "logarithms taken afterwards": Say(
            "These are the logarithms of the probabilities. Probabilities are between 0 and 1."
        ).to(lambda scores, dim=-1: torch.softmax(scores, dim).log()),
    },
    hints=(
        "Two steps: make every score positive, then divide by the total. Which function turns any number into a "
        "positive one and keeps the order?",
        "Before `exp`, subtract each row's own largest score: exp(a - m) / sum of exp(b - m) is the same probability, "
        "because exp(-m) cancels.",
        "`scores.amax(dim=dim, keepdim=True)` is the largest score of each row, with its axis kept, so that the "
        "subtraction lines up. The sum needs `keepdim=True` for the same reason.",
    ),
)
