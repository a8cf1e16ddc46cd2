"""Exercise 12.1, ``greedy``: its cases, and what learners get wrong."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gemini_workshop.exercises.core.comparison import number, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.generation.sampling import greedy


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)
    return [
        (torch.tensor([0.5, 3.0, -4.0, 1.0]),),
        (torch.tensor([[-1.0, -5.0, -2.0], [2.0, 0.0, 3.0]]),),
        (draw(3, 7),),
        (draw(2, 3, 5),),
    ]


def _oracle(logits: Tensor) -> Tensor:
    best = [row.index(max(row)) for row in logits.reshape(-1, logits.shape[-1]).tolist()]
    return torch.tensor(best).reshape(logits.shape[:-1])


def _explain(function: Function, case: Arguments) -> str | None:
    (logits,) = case
    got, expected = function(logits), _oracle(logits)
    index = worst_index(got, expected)
    return f"Of the logits {vector(logits[index])} it chose {number(got[index])}; {number(expected[index])} is needed."


GREEDY = Exercise(
    id="12.1",
    minutes=2,
    difficulty=1,
    importance=4,
    reference=greedy,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "least likely": Say("This is the token with the lowest logit. A higher logit means a higher probability.").to(
            lambda logits: logits.argmin(-1)
        ),
        "the logit itself": Say(
            "This is the highest logit. What is wanted is the token that has it: its place in the vocabulary."
        ).to(lambda logits: logits.amax(-1)),
        "its probability": Say(
            "This is the probability of the most likely token. What is wanted is the token: its place in the "
            "vocabulary."
        ).to(lambda logits: logits.softmax(-1).amax(-1)),
        "over the texts": Say(
            "The maximum runs over the first axis, so the texts of a batch compete with each other. Each text asks "
            "for a token of its own: the vocabulary is the last axis."
        ).to(lambda logits: logits.argmax(0)),
        "one token for all": Say(
            "There is one token for the whole batch, and it counts through all rows. Each row needs its own: along "
            "which axis is the vocabulary?"
        ).to(lambda logits: logits.argmax()),
        "axis kept": Say("The vocabulary's axis is still there, with one entry. A row needs one number.").to(
            lambda logits: logits.argmax(-1, keepdim=True)
        ),
        "largest absolute value": Say(
            "A large negative logit is chosen as if it were a large one. Far below zero means very unlikely."
        ).to(lambda logits: logits.abs().argmax(-1)),
        "second": Say("This is the second most likely token.").to(
            lambda logits: logits.topk(2, dim=-1).indices[..., 1]
        ),
        "one-hot": Say("This marks the place of the most likely token with a 1. What is wanted is its number.").to(
            lambda logits: F.one_hot(logits.argmax(-1), logits.shape[-1])
        ),
        "as a number with a fraction": Say(
            "The token is right, as a floating-point number. Token ids are integers."
        ).to(lambda logits: logits.argmax(-1).float()),
    },
    hints=(
        "Of all tokens, the one with the highest logit. Do you need the probabilities for that?",
        "PyTorch has a function for the place of the largest entry; tell it along which axis the vocabulary is.",
        "`logits.argmax(...)`, along the last axis.",
    ),
)
