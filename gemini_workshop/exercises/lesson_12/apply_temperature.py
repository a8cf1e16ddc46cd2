"""Exercise 12.2, ``apply_temperature``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.exercise import Arguments, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_12.tools import LogitsExercise, explained, log_of
from gemini_workshop.generation.sampling import apply_temperature


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator, 2.0)
    one = log_of((0.1, 0.5, 0.15, 0.25))
    two = torch.tensor([[1.0, 3.0, -2.0, 0.5, 0.0], [-1.0, -4.0, -0.5, -3.0, -2.0]])
    return [(one, 0.5), (one, 2.0), (one, 0.0), (two, 0.7), (two, 0.0), (draw(3, 7), 1.5), (draw(2, 3, 6), 0.25)]


def _oracle(logits: Tensor, temperature: float) -> Tensor:
    """Probabilities to the power of 1 / T, divided by their sum; at 0 all of it goes to the largest."""
    p = logits.double().exp() / logits.double().exp().sum(-1, keepdim=True)
    p = (p == p.amax(-1, keepdim=True)).double() if temperature == 0 else p ** (1 / temperature)
    return p / p.sum(-1, keepdim=True)


def _only(logits: Tensor, chosen: Tensor, others: float = -math.inf) -> Tensor:
    is_chosen = torch.arange(logits.shape[-1]) == chosen.unsqueeze(-1)
    return logits.masked_fill(~is_chosen, others)


def _tempered(
    logits: Tensor,
    temperature: float,
    *,
    warm: Callable[[Tensor, float], Tensor] = lambda logits, T: logits / T,
    cold: Callable[[Tensor], Tensor] = lambda logits: _only(logits, logits.argmax(-1)),
) -> Tensor:
    """The right steps, with a place to go wrong above zero and one at zero."""
    return warm(logits, temperature) if temperature > 0 else cold(logits)


APPLY_TEMPERATURE = LogitsExercise(
    id="12.2",
    minutes=5,
    difficulty=2,
    importance=5,
    reference=apply_temperature,
    oracle=_oracle,
    cases=_cases,
    explain=explained(_oracle, "temperature"),
    misconceptions={
        "multiplied": Say(
            "The logits are multiplied by the temperature, so it works the wrong way round: below 1 the likely tokens "
            "should gain."
        ).to(_tempered, warm=lambda logits, T: logits * T),
        "division by zero": Say(
            "At temperature 0 the logits are divided by zero. What remains in the limit, when the temperature gets "
            "smaller and smaller? Treat that case by itself."
        ).to(lambda logits, T: logits / T),
        "multiplied, zero included": Say(
            "The logits are multiplied by the temperature, so it works the wrong way round: below 1 the likely tokens "
            "should gain, and at 0 only one is left."
        ).to(lambda logits, T: logits * T),
        "unchanged at zero": Say(
            "At temperature 0 the logits stay as they are, as if it were 1. In the limit only the most likely token "
            "is left."
        ).to(_tempered, cold=lambda logits: logits),
        "even at zero": Say(
            "At temperature 0 all tokens are equally likely. That is the limit of a very high temperature; towards 0 "
            "only the most likely token is left."
        ).to(_tempered, cold=torch.zeros_like),
        "zeros at zero": Say(
            "At temperature 0 the other logits become 0. A logit of 0 is not 'no probability': exp(0) = 1. Which "
            "logit has a probability of exactly zero?"
        ).to(_tempered, cold=lambda logits: _only(logits, logits.argmax(-1), 0.0)),
        "the winner is cut off at zero": Say(
            "At temperature 0 the most likely token is cut off and the others remain. It should be the other way round."
        ).to(
            _tempered,
            cold=lambda logits: logits.masked_fill(logits == logits.amax(-1, keepdim=True), -math.inf),
        ),
        "one winner for all rows": Say(
            "At temperature 0 all rows keep the same token. Each row of the batch has a most likely token of its own."
        ).to(
            _tempered,
            cold=lambda logits: (
                _only(logits, logits.flatten(0, -2)[0].argmax(-1).expand(logits.shape[:-1]))
                if logits.ndim > 1
                else _only(logits, logits.argmax(-1))
            ),
        ),
        "probabilities divided": Say(
            "The probabilities are divided by the temperature, and not the logits. A common factor of probabilities "
            "cancels when they are scaled to sum to one."
        ).to(_tempered, warm=lambda logits, T: logits.softmax(-1) / T),
        "probabilities instead of logits": Say(
            "These are probabilities already. The function returns logits: the softmax comes later, after all other "
            "steps."
        ).to(_tempered, warm=lambda logits, T: (logits / T).softmax(-1)),
        "probabilities at zero, too": Say(
            "These are probabilities already. The function returns logits: the softmax comes later, after all other "
            "steps."
        ).to(lambda logits, T: _tempered(logits, T).softmax(-1)),
        "a token at zero": Say(
            "At temperature 0 a token is returned. The function returns logits at every temperature, so that the steps "
            "after it need not know: which logits make that token certain?"
        ).to(_tempered, cold=lambda logits: logits.argmax(-1)),
        "no effect above zero": Say(
            "Above zero the temperature changes no probability. (What is added to all logits alike, or subtracted, "
            "cancels in the softmax.)"
        ).to(_tempered, warm=lambda logits, T: logits - T),
        "root": Say("The logits are divided by the square root of the temperature. There is no root in it.").to(
            _tempered, warm=lambda logits, T: logits / math.sqrt(T)
        ),
        "divided twice": Say("The logits are divided by the temperature twice.").to(
            _tempered, warm=lambda logits, T: logits / T**2
        ),
    },
    hints=(
        "Two cases. Above zero it is one operation. At zero that operation is not possible: ask what it tends to.",
        "Above zero, divide. At zero, keep the most likely token of each row, and give the others a logit whose "
        "exponential is zero.",
        "At zero: `logits.masked_fill(...)` with minus infinity wherever a token is not the one of `greedy(logits)`; "
        "compare `torch.arange(V)` with it.",
    ),
)
