"""Exercise 08.3, ``expert_load``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.lesson_08.tools import drawn_choices
from gemini_workshop.models.routing import expert_load


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (torch.tensor([[0, 1], [0, 3], [2, 0]]), 4),
        (torch.tensor([[1], [1], [1], [0]]), 3),
        (torch.tensor([[2, 1], [1, 0], [2, 1], [2, 0]]), 5),
        (drawn_choices(generator, 7, 5, 3), 5),
        (drawn_choices(generator, 11, 6, 2), 6),
    ]


def _oracle(experts: Tensor, num_experts: int) -> Tensor:
    choices = [e for row in experts.tolist() for e in row]
    return torch.tensor([choices.count(e) / len(choices) for e in range(num_experts)])


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    choices = case[0].numel()
    for e, (value, needed) in enumerate(zip(got, expected, strict=True)):
        if not same(value, needed):
            counted = f"{round(float(needed) * choices)} of {choices} choices fell on expert {e}"
            return f"{counted}: its load came out as {number(value)}; {number(needed)} is needed."
    return None


def _load(
    experts: Tensor,
    num_experts: int,
    *,
    seen: Callable[[Tensor], Tensor] = torch.flatten,
    divide: Callable[[Tensor, Tensor], Tensor] = lambda counts, experts: counts / counts.sum(),
) -> Tensor:
    """Right but for the steps: which choices are counted, and by what the counts are divided."""
    return divide(seen(experts).bincount(minlength=num_experts).float(), experts)


EXPERT_LOAD = Exercise(
    id="08.3",
    minutes=4,
    difficulty=2,
    importance=4,
    reference=expert_load,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "counts": Say("These are counts. The load is the fraction of all choices: divide by how many there are.").to(
            _load, divide=lambda counts, experts: counts
        ),
        "divided by the tokens": Say(
            "The counts are divided by the number of tokens. Each token makes several choices, so the fractions sum to "
            "more than 1. Divide by the number of choices."
        ).to(_load, divide=lambda counts, experts: counts / len(experts)),
        "divided by the experts": Say(
            "The counts are divided by the number of experts. Divide by the number of choices, so that the loads sum "
            "to 1."
        ).to(_load, divide=lambda counts, experts: counts / len(counts)),
        "multiples of the mean": Say(
            "These are multiples of the mean load, which sum to the number of experts. As fractions of all choices "
            "they sum to 1."
        ).to(_load, divide=lambda counts, experts: counts / counts.mean()),
        "compared with the busiest": Say(
            "The counts are divided by the largest one. Divide by the number of choices, so that the loads sum to 1."
        ).to(_load, divide=lambda counts, experts: counts / counts.max()),
        "first choices only": Say("Only first choices are counted. Every choice is work for an expert.").to(
            _load, seen=lambda experts: experts[:, 0]
        ),
        "last choices only": Say("Only last choices are counted. Every choice is work for an expert.").to(
            _load, seen=lambda experts: experts[:, -1]
        ),
        "unused experts missing": Say(
            "Experts behind the last one that was chosen are missing. There is one load for each expert, zero where "
            "nobody chose it: `bincount` has a `minlength`."
        ).to(lambda experts, num_experts: experts.flatten().bincount() / experts.numel()),
        "used or not": Say(
            "All experts that are used at all have the same load. Count how often each was chosen. (Assigning "
            "`load[experts] = 1` counts each expert once.)"
        ).to(_load, seen=torch.unique),
        "softmax of the counts": Say("A softmax of the counts is not a fraction. Divide by the number of choices.").to(
            _load, divide=lambda counts, experts: counts.softmax(0)
        ),
        "the rest": Say("This is the fraction that did *not* fall on each expert.").to(
            _load, divide=lambda counts, experts: 1 - counts / counts.sum()
        ),
    },
    hints=(
        "How often does each number occur in `experts`? How many numbers are there in all?",
        "`bincount` counts whole numbers in one long row. Tell it how many experts there are, so that the last ones "
        "are not forgotten.",
        "`experts.flatten().bincount(minlength=num_experts)`, divided by `experts.numel()`.",
    ),
)
