"""Exercise 07.1, ``online_softmax``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.core.tools import drawing, vector
from gemini_workshop.models.flash_attention import online_softmax

Sums = tuple[Tensor, Tensor, Tensor]
NAMES = ("largest", "total", "mixed")


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator)

    def after(scores: Tensor, value: Tensor) -> Sums:
        """The three sums over some keys, as they should be."""
        nothing = torch.full((*scores.shape[:-1], 1), -math.inf)
        zeros = torch.zeros(*scores.shape[:-1], value.shape[-1])
        return tuple(x.float() for x in _oracle(nothing, torch.zeros_like(nothing), zeros, scores, value))  # type: ignore[return-value]

    hidden = 2 * draw(2, 4, 5)
    hidden[0, 1, 2:], hidden[1, 0] = -math.inf, -math.inf
    start = torch.full((1, 1), -math.inf), torch.zeros(1, 1), torch.zeros(1, 1)
    seen = torch.tensor([[1.0]]), torch.tensor([[2.0]]), torch.tensor([[6.0]])
    higher, lower = torch.tensor([[1.0 + math.log(4.0), 1.0]]), torch.tensor([[1.0, 1.0 - math.log(2.0)]])
    return [
        (*start, torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[4.0], [8.0]])),
        (*seen, higher, torch.tensor([[4.0], [8.0]])),
        (*seen, lower, torch.tensor([[4.0], [8.0]])),
        (*after(draw(3, 2), draw(2, 5)), 3 * draw(3, 4), draw(4, 5)),
        (*after(2 * draw(2, 4, 3), draw(2, 3, 6)), hidden, draw(2, 5, 6)),
        (*after(1000 + draw(2, 3), draw(3, 4)), 900 + 300 * draw(2, 5).abs(), draw(5, 4)),
    ]


def _oracle(largest: Tensor, total: Tensor, mixed: Tensor, scores: Tensor, value: Tensor) -> Sums:
    """What came before counts as one key more, whose score is the logarithm of its sum of exponentials."""
    largest, total, mixed, scores, value = (x.double() for x in (largest, total, mixed, scores, value))
    before = torch.where(total > 0, total.log() + largest, -math.inf)
    everything = torch.cat([before, scores], dim=-1)
    new = torch.cat([largest, scores], dim=-1).amax(-1, keepdim=True)
    sum_of_all = everything.logsumexp(-1, keepdim=True)
    weights = everything.softmax(-1)
    average = torch.where(total > 0, mixed / total, 0.0) * weights[..., :1] + weights[..., 1:] @ value
    new_total = (sum_of_all - new).exp()
    return new, new_total, average * new_total


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    for name, mine, needed in zip(NAMES, got, expected, strict=True):
        if mine.shape != needed.shape:
            return f"`{name}` has shape {tuple(mine.shape)}; {tuple(needed.shape)} is needed."
        if not same(mine, needed):
            place = _first_difference(mine, needed)
            before = ", ".join(f"{n} {vector(x[place])}" for n, x in zip(NAMES, case[:3], strict=True))
            return (
                f"Before: {before}. New scores {vector(case[3][place])}: `{name}` became {vector(mine[place])}; "
                f"{vector(needed[place])} is needed."
            )
    return None


def _first_difference(got: Tensor, expected: Tensor) -> tuple[int, ...]:
    """The query whose row differs first."""
    for place in np.ndindex(*got.shape[:-1]):
        if not same(got[place], expected[place]):
            return place
    raise AssertionError("nothing differs")


def _update(
    largest: Tensor,
    total: Tensor,
    mixed: Tensor,
    scores: Tensor,
    value: Tensor,
    *,
    find: Callable[[Tensor, Tensor], Tensor] = lambda old, tile: torch.maximum(old, tile),
    shrink_total: Callable[[Tensor, Tensor], Tensor | float] = lambda old, new: (old - new).exp(),
    shrink_mixed: Callable[[Tensor, Tensor], Tensor | float] = lambda old, new: (old - new).exp(),
    weigh: Callable[[Tensor, Tensor], Tensor] = lambda scores, new: (scores - new).exp(),
    add: Callable[[Tensor], Tensor] = lambda weights: weights.sum(-1, keepdim=True),
    mix: Callable[[Tensor], Tensor] = lambda weights: weights,
) -> Sums:
    """The update with a place to go wrong at each of its steps: the misconceptions below fill them in."""
    new = find(largest, scores.amax(-1, keepdim=True))
    weights = weigh(scores, new)
    return (
        new,
        total * shrink_total(largest, new) + add(weights),
        mixed * shrink_mixed(largest, new) + mix(weights) @ value,
    )


def _divided(*case: Tensor) -> Sums:
    largest, total, mixed = _update(*case)
    return largest, total, mixed / total


def _as_averages(largest: Tensor, total: Tensor, mixed: Tensor, scores: Tensor, value: Tensor) -> Sums:
    new, new_total, _ = _update(largest, total, mixed, scores, value)
    return new, new_total, (mixed + scores.softmax(-1) @ value) / 2


ONLINE_SOFTMAX = Exercise(
    id="07.1",
    minutes=10,
    difficulty=4,
    importance=4,
    reference=online_softmax,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "old sums not shrunk": Say(
            "The old sums are kept as they were. They were made with the old largest score; when a larger one turns "
            "up, each of their terms is too large by the same factor."
        ).to(_update, shrink_total=lambda old, new: 1.0, shrink_mixed=lambda old, new: 1.0),
        "mixed not shrunk": Say(
            "`total` shrinks when a larger score turns up, and `mixed` does not. Both are sums of the same "
            "exponentials."
        ).to(_update, shrink_mixed=lambda old, new: 1.0),
        "total not shrunk": Say(
            "`mixed` shrinks when a larger score turns up, and `total` does not. Both are sums of the same "
            "exponentials."
        ).to(_update, shrink_total=lambda old, new: 1.0),
        "shrunk the wrong way": Say(
            "The old sums grow where they should shrink: exp(new largest - old largest) is at least 1. Which way round "
            "must the difference be?"
        ).to(_update, shrink_total=lambda old, new: (new - old).exp(), shrink_mixed=lambda old, new: (new - old).exp()),
        "largest of the new scores only": Say(
            "The largest score is taken from the new scores alone. An earlier one may be larger."
        ).to(_update, find=lambda old, tile: tile),
        "one largest for all queries": Say(
            "All queries share one largest score. Each row is a softmax of its own: a row far below the others would "
            "vanish."
        ).to(_update, find=lambda old, tile: torch.maximum(old, tile).amax().expand_as(old)),
        "largest not updated": Say(
            "The weights are right, but the largest score that is returned is the old one. The next call needs the new "
            "one."
        ).to(lambda largest, *rest: (largest, *_update(largest, *rest)[1:])),
        "nothing subtracted": Say(
            "The exponentials are taken of the scores as they are. exp(1000) does not fit in a float: subtract the "
            "largest score, the new one."
        ).to(
            _update,
            weigh=lambda scores, new: scores.exp(),
            shrink_total=lambda old, new: 1.0,
            shrink_mixed=lambda old, new: 1.0,
        ),
        "new scores minus the old largest": Say(
            "The new scores are compared with the old largest score. One of them may be larger, and its exponential "
            "then overflows: subtract the new largest."
        ).to(
            lambda largest, total, mixed, scores, value: _update(
                largest, total, mixed, scores, value, weigh=lambda scores, new: (scores - largest).exp()
            )
        ),
        "new scores minus their own largest": Say(
            "The new scores are compared with the largest among themselves. Old and new terms are added, so both must "
            "be relative to the same number."
        ).to(_update, weigh=lambda scores, new: (scores - scores.amax(-1, keepdim=True)).exp()),
        "keys before forgotten": Say(
            "Only the new keys are in the sums: what was gathered before is gone. It has to be shrunk and added."
        ).to(_update, shrink_total=lambda old, new: 0.0, shrink_mixed=lambda old, new: 0.0),
        "divided already": Say(
            "`mixed` comes back divided by `total`. The division belongs at the very end, when no key is left: the "
            "next call would add to an average."
        ).to(_divided),
        "softmax of the new scores": Say(
            "The values are mixed by the softmax of the new scores alone, which adds up to one in every tile. The "
            "terms must be exponentials, not divided by anything yet."
        ).to(_update, mix=lambda weights: weights / weights.sum(-1, keepdim=True).clamp_min(1e-30)),
        "average of the tiles": Say(
            "`mixed` is an average of the old and the new. A tile with low scores then counts as much as one with high "
            "ones; add sums of exponentials instead."
        ).to(_as_averages),
        "keys counted": Say(
            "`total` counts the new keys. It is the sum of their exponentials, relative to the largest score."
        ).to(_update, add=lambda weights: torch.full_like(weights[..., :1], weights.shape[-1])),
    },
    hints=(
        "First find the new largest score of each query. Then two things are relative to the wrong number: which "
        "ones, and by which factor?",
        "exp(s - new) = exp(s - old) · exp(old - new). So both old sums are multiplied by exp(old - new). The new "
        "terms are exp(score - new).",
        "`shrink = (largest - new_largest).exp()`, `weights = (scores - new_largest).exp()`; then `total * shrink + "
        "weights.sum(-1, keepdim=True)`, and the same with `mixed` and `weights @ value`.",
    ),
)
