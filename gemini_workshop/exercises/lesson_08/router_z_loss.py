"""Exercise 08.5, ``router_z_loss``: its cases, and what learners get wrong."""

import math

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import number
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.models.routing import router_z_loss


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        (torch.tensor([[0.0, 0.0], [3.0, 3.0]]),),
        (torch.tensor([[-4.0, 1.0, 2.0]]),),
        (draw(4, 3),),
        (3 * draw(5, 6) - 2,),
        (torch.tensor([[300.0, 299.0, -50.0], [1.0, 2.0, 3.0]]),),
    ]


def _oracle(logits: Tensor) -> Tensor:
    """Token by token, with the largest score taken out of the sum."""
    squares = []
    for row in logits.tolist():
        largest = max(row)
        squares.append((largest + math.log(sum(math.exp(value - largest) for value in row))) ** 2)
    return torch.tensor(sum(squares) / len(squares))


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    rows = [[round(value, 2) for value in row] for row in case[0].tolist()]
    return f"The scores {rows} gave {number(got)}; {number(expected)} is needed."


def _no_gradient(function: Function) -> str | None:
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)
    if getattr(function(logits), "requires_grad", True):
        return None
    return "No gradient would reach the router: the result has lost its connection with `logits`."


ROUTER_Z_LOSS = Exercise(
    id="08.5",
    minutes=4,
    difficulty=2,
    importance=2,
    reference=router_z_loss,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="the router gets a gradient", broken=_no_gradient),),
    misconceptions={
        "overflow": Say(
            "exp(300) does not fit in a float, so the sum is infinite, and its logarithm, too. PyTorch has the log of "
            "the sum of exponentials as one function."
        ).to(lambda logits: logits.exp().sum(-1).log().square().mean()),
        "not squared": Say(
            "The log of the sum is not squared. Without the square, training would make the scores more and more "
            "negative."
        ).to(lambda logits: logits.logsumexp(-1).mean()),
        "square of the mean": Say(
            "The mean over the tokens comes first and the square after it. A token far above and one far below zero "
            "would cancel: square each, then take the mean."
        ).to(lambda logits: logits.logsumexp(-1).mean().square()),
        "sum over the tokens": Say("It grows with the number of tokens. Take the mean over them.").to(
            lambda logits: logits.logsumexp(-1).square().sum()
        ),
        "over the tokens": Say(
            "The sum of exponentials runs over the tokens. It runs over the experts: the last axis."
        ).to(lambda logits: logits.logsumexp(0).square().mean()),
        "over everything": Say(
            "One sum runs over all tokens and experts. Each token has a sum of its own, over its experts."
        ).to(lambda logits: logits.flatten().logsumexp(0).square()),
        "mean square of the scores": Say(
            "This is the mean square of the scores. The z-loss looks at the log of the sum of their exponentials, in "
            "which the large scores count most."
        ).to(lambda logits: logits.square().mean()),
        "probabilities": Say(
            "The scores went through a softmax first. The sum of probabilities is always 1: nothing is left to learn."
        ).to(lambda logits: logits.softmax(-1).logsumexp(-1).square().mean()),
        "log of the softmax": Say(
            "The scores went through a log-softmax first, which makes the log of their sum zero for every token."
        ).to(lambda logits: logits.log_softmax(-1).logsumexp(-1).square().mean()),
        "logarithm left out": Say(
            "The logarithm of the sum is missing, so that it grows exponentially with the scores."
        ).to(lambda logits: logits.exp().sum(-1).square().mean()),
        "mean of the exponentials": Say(
            "The exponentials are averaged, not summed: this is smaller by the log of the number of experts."
        ).to(lambda logits: (logits.logsumexp(-1) - math.log(logits.shape[-1])).square().mean()),
        "largest score": Say(
            "The largest score is squared. Nearly: the log of the sum of exponentials is a little more."
        ).to(lambda logits: logits.amax(-1).square().mean()),
        "absolute value": Say("The absolute value is taken where a square is needed.").to(
            lambda logits: logits.logsumexp(-1).abs().mean()
        ),
        "one number per token": Say("There is a number for each token. A loss is one number: their mean.").to(
            lambda logits: logits.logsumexp(-1).square()
        ),
    },
    hints=(
        "From the inside out: exponentials, their sum over the experts, its logarithm, the square, the mean.",
        "`logsumexp` does the first three steps without overflow. Along which axis?",
        "`logits.logsumexp(dim=-1)` is one number per token. Square it, then take the mean.",
    ),
)
