"""Exercise 08.4, ``load_balancing_loss``: its cases, and what learners get wrong."""

from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.exercises.lesson_08.tools import drawn_load
from gemini_workshop.models.routing import load_balancing_loss


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        (torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]]), torch.tensor([1.0, 0.0, 0.0])),
        (torch.full((2, 4), 0.25), torch.full((4,), 0.25)),
        (torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]]), torch.tensor([0.25, 0.75])),
        (draw(5, 4).softmax(-1), drawn_load(generator, 4)),
        (3 * draw(7, 6).softmax(-1) / 3, drawn_load(generator, 6)),
    ]


def _oracle(probabilities: Tensor, load: Tensor) -> Tensor:
    """The sum over tokens and experts, term by term."""
    N, E = probabilities.shape
    total = sum(load[e].item() * probabilities[n, e].item() for n in range(N) for e in range(E))
    return torch.tensor(E * total / N)


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    given = f"Mean probabilities {vector(case[0].mean(0))} and loads {vector(case[1])}"
    return f"{given} gave {number(got)}; {number(expected)} is needed."


def _no_gradient(function: Function) -> str | None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), requires_grad=True)
    load = torch.tensor([0.5, 0.25, 0.25])
    if function(logits.detach().softmax(-1).requires_grad_(), load).requires_grad:
        return None
    return "No gradient would reach the router: the result has lost its connection with `probabilities`."


def _balance(
    probabilities: Tensor,
    load: Tensor,
    *,
    mean: Callable[[Tensor], Tensor] = lambda probabilities: probabilities.mean(0),
    combine: Callable[[Tensor, Tensor], Tensor] = lambda load, mean: (load * mean).sum(),
    scale: Callable[[int], float] = lambda num_experts: num_experts,
) -> Tensor:
    """Right but for the steps: the mean probabilities, how they meet the load, and the factor."""
    return scale(len(load)) * combine(load, mean(probabilities))


LOAD_BALANCING_LOSS = Exercise(
    id="08.4",
    minutes=6,
    difficulty=3,
    importance=5,
    reference=load_balancing_loss,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="the router gets a gradient", broken=_no_gradient),),
    battery=Battery(constants=("load",)),  # a count: to detach it changes nothing
    misconceptions={
        "not multiplied by the experts": Say(
            "An even load gives 1/E here. Sum the products over the experts and multiply by E (a mean in place of the "
            "sum undoes that), so that an even load gives 1."
        ).to(_balance, scale=lambda num_experts: 1),
        "mean over the experts": Say(
            "The products are averaged over the experts. They are summed and multiplied by E, so that an even load "
            "gives 1."
        ).to(_balance, scale=lambda num_experts: 1 / num_experts),
        "experts squared": Say(
            "The factor is E squared. An even load should give 1: E products of 1/E times 1/E sum to 1/E."
        ).to(_balance, scale=lambda num_experts: num_experts**2),
        "multiplied by the tokens": Say(
            "It is multiplied by the number of tokens. The factor is the number of experts, the last axis."
        ).to(lambda probabilities, load: len(probabilities) * (load * probabilities.mean(0)).sum()),
        "distance from even": Say(
            "This is the squared distance of the mean probabilities from 1/E. The load does not take part, but it is "
            "what the experts really receive: multiply it by the mean probability."
        ).to(lambda probabilities, load: (probabilities.mean(0) - 1 / len(load)).square().sum()),
        "load times load": Say(
            "The load is multiplied by itself. A count has no gradient, so the router would learn nothing: one of the "
            "two factors has to be the mean probability."
        ).to(_balance, combine=lambda load, mean: (load * load).sum() + 0 * mean.sum()),
        "probability times probability": Say(
            "The mean probability is multiplied by itself, and the load does not count. What the experts really "
            "receive is the load."
        ).to(_balance, combine=lambda load, mean: (mean * mean).sum()),
        "sum over the tokens": Say(
            "The probabilities are summed over the tokens, so the loss grows with the batch. Take their mean."
        ).to(_balance, mean=lambda probabilities: probabilities.sum(0)),
        "mean over tokens and experts": Say(
            "The probabilities are averaged over the experts, too. One number per expert has to be left: its mean over "
            "the tokens."
        ).to(_balance, mean=lambda probabilities: probabilities.mean() * torch.ones(probabilities.shape[1])),
        "sign reversed": Say(
            "The sign is wrong: the more uneven the load, the smaller this is, and training would make it more uneven."
        ).to(_balance, scale=lambda num_experts: -num_experts),
        "zero at even load": Say(
            "1 is subtracted, so that an even load gives 0. The gradient is the same, but the loss is defined without "
            "it: 1 is its value at even load."
        ).to(_balance, combine=lambda load, mean: (load * mean).sum() - 1 / len(load)),
        "squared distance": Say(
            "This is a squared difference between the load and the mean probability. Even a router that sends "
            "everything to one expert would be fine with that. Multiply them."
        ).to(_balance, combine=lambda load, mean: (load - mean).square().sum()),
        "largest product only": Say("Only the expert with the largest product counts. All experts are summed over.").to(
            _balance, combine=lambda load, mean: (load * mean).max()
        ),
        "best probability only": Say(
            "Each token's largest probability is averaged. Needed is the mean probability of *each* expert."
        ).to(
            _balance,
            mean=lambda probabilities: probabilities.amax(-1).mean() * torch.ones(probabilities.shape[1]),
        ),
        "one number per expert": Say(
            "There is a number for each expert. A loss is one number: sum over the experts."
        ).to(_balance, combine=lambda load, mean: load * mean),
    },
    hints=(
        "Which two numbers belong to each expert? One is given. The other says how much the tokens like it on average.",
        "The mean probability of each expert is a mean over the tokens, the first axis. Multiply it by the load, sum "
        "over the experts, and choose the factor so that an even load gives 1.",
        "`(load * probabilities.mean(dim=0)).sum()`, times the number of experts: `probabilities.shape[-1]`.",
    ),
)
