"""Exercise 12.6, ``apply_repetition_penalty``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.comparison import number, same, worst_index
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.generation.penalties import apply_repetition_penalty


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator, 2.0)
    text = torch.randint(0, 9, (3, 12), generator=generator)
    text[:, -1] = torch.tensor([0, 1, 2])
    return [
        (torch.tensor([[3.0, -1.0, 2.0, -4.0]]), torch.tensor([[0, 1]]), 2.0),
        (torch.tensor([[3.0, -1.0, 2.0, -4.0, 1.0]]), torch.tensor([[2, 2, 3, 2]]), 1.5),
        (draw(2, 6), torch.tensor([[0, 4, 0], [5, 1, 2]]), 1.3),
        (draw(3, 11), text, 1.2),
    ]


def _oracle(logits: Tensor, token_ids: Tensor, penalty: float) -> Tensor:
    lowered = logits.double().clone()
    for b, text in enumerate(token_ids.tolist()):
        for token in set(text):
            logit = float(logits[b, token])
            lowered[b, token] = logit / penalty if logit > 0 else logit * penalty
    return lowered


def _explain(function: Function, case: Arguments) -> str | None:
    logits, token_ids, penalty = case
    got, expected = function(*case), _oracle(*case)
    if same(got, expected):
        return None
    b, v = worst_index(got, expected)
    times = int((token_ids[b] == v).sum())
    return (
        f"Token {v} is in its text {times} time{'s' * (times != 1)}. With a penalty of {penalty} its logit "
        f"{number(logits[b, v])} became {number(got[b, v])}; {number(expected[b, v])} is needed."
    )


def _counts(token_ids: Tensor, logits: Tensor) -> Tensor:
    zeros = torch.zeros(logits.shape, dtype=torch.long)
    return zeros.scatter_add(1, token_ids, torch.ones_like(token_ids))


def _penalized(
    logits: Tensor,
    token_ids: Tensor,
    penalty: float,
    *,
    lower: Callable[[Tensor, float], Tensor] = lambda x, c: torch.where(x > 0, x / c, x * c),
    seen: Callable[[Tensor, Tensor], Tensor] = lambda token_ids, logits: _counts(token_ids, logits) > 0,
) -> Tensor:
    """The right steps, with a place to go wrong at each of them."""
    return torch.where(seen(token_ids, logits), lower(logits, penalty), logits)


def _for_each_time(logits: Tensor, token_ids: Tensor, penalty: float) -> Tensor:
    factor = penalty ** _counts(token_ids, logits)
    return torch.where(logits > 0, logits / factor, logits * factor)


def _difference_each_time(logits: Tensor, token_ids: Tensor, penalty: float) -> Tensor:
    lowered = torch.where(logits > 0, logits / penalty, logits * penalty)
    return logits + _counts(token_ids, logits) * (lowered - logits)


APPLY_REPETITION_PENALTY = Exercise(
    id="12.6",
    minutes=7,
    difficulty=3,
    importance=2,
    reference=apply_repetition_penalty,
    oracle=_oracle,
    cases=_cases,
    battery=Battery(gradients=False),
    explain=_explain,
    misconceptions={
        "negative logits divided, too": Say(
            "Negative logits are divided, too, and so they *rise*: -4 / 2 is -2. What has to happen to a negative "
            "number so that it becomes smaller?"
        ).to(_penalized, lower=lambda x, c: x / c),
        "all multiplied": Say("The logits are multiplied, so the positive ones rise. All of them have to fall.").to(
            _penalized, lower=lambda x, c: x * c
        ),
        "signs swapped": Say(
            "Positive and negative logits are swapped: both rise. The positive ones are divided, the negative ones "
            "multiplied."
        ).to(_penalized, lower=lambda x, c: torch.where(x > 0, x * c, x / c)),
        "subtracted": Say(
            "The penalty is subtracted. That is another one, the presence penalty; this one divides and multiplies."
        ).to(_penalized, lower=lambda x, c: x - c),
        "once for each time": Say(
            "A token that occurs three times is penalized three times. Here it counts only whether a token is in the "
            "text."
        ).to(_for_each_time),
        "difference added each time": Say(
            "What a logit loses is added once for each time that its token occurs, as `scatter_add` does. Write the "
            "new logit in its place instead: then it does not matter how often."
        ).to(_difference_each_time),
        "forbidden": Say("Tokens of the text become impossible. They should only become less likely.").to(
            _penalized, lower=lambda x, c: torch.full_like(x, -math.inf)
        ),
        "all tokens": Say("All tokens are penalized, also those that are not in the text.").to(
            _penalized, seen=lambda token_ids, logits: torch.ones_like(logits, dtype=torch.bool)
        ),
        "the new tokens": Say("The tokens that are *not* in the text are penalized.").to(
            _penalized, seen=lambda token_ids, logits: _counts(token_ids, logits) == 0
        ),
        "one text for all rows": Say(
            "The tokens of all texts are penalized in every row. Each row has a text of its own."
        ).to(_penalized, seen=lambda token_ids, logits: (_counts(token_ids, logits) > 0).any(0).expand(logits.shape)),
        "only the last token": Say("Only the last token of the text is penalized. All of its tokens count.").to(
            _penalized, seen=lambda token_ids, logits: _counts(token_ids[:, -1:], logits) > 0
        ),
        "the first text for all rows": Say(
            "The tokens of the first text are penalized in every row. Each row has a text of its own."
        ).to(_penalized, seen=lambda token_ids, logits: _counts(token_ids[:1].expand_as(token_ids), logits) > 0),
        "probabilities": Say("These are probabilities. The function returns logits: the softmax comes later.").to(
            lambda logits, token_ids, penalty: _penalized(logits, token_ids, penalty).softmax(-1)
        ),
        "unchanged": Say("The logits come back unchanged.").to(lambda logits, token_ids, penalty: logits.clone()),
    },
    hints=(
        "Every logit of a token in the text has to fall. Try it on paper with the logits 3 and -3, and a penalty of 2.",
        "`logits.gather(1, token_ids)` has the logit of each token of each text, and `scatter` writes such values "
        "back. A token that occurs twice is written twice with the same value.",
        "With `seen = logits.gather(1, token_ids)`, the new values are "
        "`torch.where(seen > 0, seen / penalty, ...)`; then `logits.scatter(1, token_ids, lowered)`.",
    ),
)
