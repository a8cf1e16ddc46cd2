"""Exercise 11.1, ``shift_targets``: its cases, and what learners get wrong."""

import torch
from torch import Tensor

from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.training.losses import shift_targets


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (torch.tensor([[5, 6, 7, 8]]),),
        (torch.tensor([[5, 6, 7], [1, 2, 3]]),),
        (torch.randperm(40, generator=generator).view(4, 10),),
        (torch.tensor([[9, 4]]),),
    ]


def _oracle(token_ids: Tensor) -> tuple[Tensor, Tensor]:
    pairs = token_ids.unfold(1, 2, 1)  # every two neighbors
    return pairs[..., 0], pairs[..., 1]


def _explain(function: Function, case: Arguments) -> str | None:
    got, needed = function(*case), _oracle(*case)
    if not isinstance(got, list | tuple) or len(got) != 2:
        return None
    rows = [tuple(map(Tensor.tolist, pair)) for pair in (got, needed)]
    return (
        f"{case[0].tolist()} gave inputs {rows[0][0]} and targets {rows[0][1]}; "
        f"inputs {rows[1][0]} and targets {rows[1][1]} are needed."
    )


SHIFT_TARGETS = Exercise(
    id="11.1",
    minutes=3,
    difficulty=1,
    importance=5,
    reference=shift_targets,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "not shifted": Say(
            "Inputs and targets are the same tokens. A model that has to name the token that it has just read learns "
            "to copy, with a loss of nearly zero, and nothing else."
        ).to(lambda ids: (ids[:, :-1], ids[:, :-1])),
        "not shifted, all tokens": Say(
            "Inputs and targets are both the whole text. The target of each token is the one after it, and the last "
            "token has none."
        ).to(lambda ids: (ids, ids)),
        "the wrong way": Say(
            "The target of each token is the one *before* it. The model has read that one already: it learns to look "
            "back, and its loss is nearly zero."
        ).to(lambda ids: (ids[:, 1:], ids[:, :-1])),
        "by two": Say("The target is the token after the next one. Shift by one place.").to(
            lambda ids: (ids[:, :-2], ids[:, 2:])
        ),
        "in a circle": Say(
            "The last token's target is the first token of the row: `roll` moves in a circle. What follows the last "
            "token is not known, so leave that token out of the inputs."
        ).to(lambda ids: (ids, ids.roll(-1, dims=1))),
        "inputs with the last token": Say(
            "There is one input more than there are targets. The last token has no target: leave it out of the inputs."
        ).to(lambda ids: (ids, ids[:, 1:])),
        "targets with the first token": Say(
            "There is one target more than there are inputs. The first token is nobody's target."
        ).to(lambda ids: (ids[:, :-1], ids)),
        "along the batch": Say(
            "Rows are shifted, not tokens: the targets of a text are another text. The axes are (rows, tokens)."
        ).to(lambda ids: (ids[:-1], ids[1:])),
        "only the last token": Say(
            "Only the last token of each row is a target. Every token but the first is one: a row of N tokens gives "
            "N - 1 exercises at once."
        ).to(lambda ids: (ids[:, :-1], ids[:, -1:])),
        "the last token everywhere": Say(
            "The target is the last token of the row, whatever the input. It should be the token after each input."
        ).to(lambda ids: (ids[:, :-1], ids[:, -1:].expand(-1, ids.shape[1] - 1))),
        "flattened": Say(
            "The rows are strung together, so that the last token of a row has the first one of the next as its "
            "target. Those are different texts."
        ).to(lambda ids: (ids.flatten()[:-1], ids.flatten()[1:])),
        "last token dropped twice": Say(
            "Inputs and targets are right, but for the last pair, which is missing. All but the last token are inputs, "
            "all but the first are targets."
        ).to(lambda ids: (ids[:, :-2], ids[:, 1:-1])),
        "backwards": Say("The targets are in reverse order.").to(lambda ids: (ids[:, :-1], ids[:, 1:].flip(1))),
        "filled with zeros": Say(
            "The last target is a zero, which is a token like any other: the model would learn that every row ends in "
            "it. Leave the last token out of the inputs instead."
        ).to(lambda ids: (ids, torch.cat([ids[:, 1:], torch.zeros_like(ids[:, :1])], dim=1))),
    },
    hints=(
        "Write the row 5 6 7 8 on paper, and below each token the one that comes next. Which column stays empty?",
        "Two slices of the same tensor: all but the last token of each row, all but the first.",
        "`return token_ids[:, :-1], token_ids[:, 1:]`",
    ),
)
