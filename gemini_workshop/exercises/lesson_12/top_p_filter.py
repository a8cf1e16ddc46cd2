"""Exercise 12.4, ``top_p_filter``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.exercise import Arguments, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_12.tools import LogitsExercise, explained, log_of
from gemini_workshop.generation.sampling import top_p_filter


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator, 1.5)
    one = log_of((0.1, 0.5, 0.15, 0.25))
    two = log_of((0.02, 0.11, 0.3, 0.07, 0.5), (0.22, 0.28, 0.18, 0.17, 0.15)) + torch.tensor([[-4.0], [3.0]])
    return [
        (one, 0.7),
        (one, 0.45),
        (one, 0.01),
        (one, 0.76),
        (one, 1.0),
        (two, 0.6),
        (draw(3, 7), 0.8),
        (draw(2, 3, 6), 0.5),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    return [(100 * drawing(generator)(3, 5), 0.9)]


def _oracle(logits: Tensor, p: float) -> Tensor:
    """Row by row: take the most likely token until what was taken reaches p."""
    rows = []
    for row in logits.reshape(-1, logits.shape[-1]).double().softmax(-1).tolist():
        taken: dict[int, float] = {}
        for i in sorted(range(len(row)), key=lambda i: -row[i]):
            if sum(taken.values()) < p:
                taken[i] = row[i]
        rows.append([taken.get(i, 0.0) / sum(taken.values()) for i in range(len(row))])
    return torch.tensor(rows, dtype=torch.double).reshape(logits.shape)


def _before(sorted_probs: Tensor) -> Tensor:
    return sorted_probs.cumsum(-1) - sorted_probs


def _put_back(is_kept: Tensor, order: Tensor) -> Tensor:
    return torch.empty_like(is_kept).scatter(-1, order, is_kept)


def _filtered(
    logits: Tensor,
    p: float,
    *,
    mass: Callable[[Tensor], Tensor] = lambda logits: logits.double().softmax(-1),
    order: Callable[[Tensor], Tensor] = lambda logits: logits.argsort(-1, descending=True),
    keep: Callable[[Tensor, float], Tensor] = lambda sorted_probs, p: _before(sorted_probs) < p - 1e-9,
    put_back: Callable[[Tensor, Tensor], Tensor] = _put_back,
    cut: Callable[[Tensor, Tensor], Tensor] = lambda logits, is_kept: logits.masked_fill(~is_kept, -math.inf),
) -> Tensor:
    """The right steps, with a place to go wrong at each of them."""
    places = order(logits)
    return cut(logits, put_back(keep(mass(logits).gather(-1, places), p), places))


def _at_least_one(is_kept: Tensor) -> Tensor:
    return is_kept | (torch.arange(is_kept.shape[-1]) == 0)


_CROSSING = Say(
    "The token that crosses p is cut off, so what remains has less than p, and sometimes nothing remains at all. Keep "
    "a token if the sum *before* it is still below p."
)

TOP_P_FILTER = LogitsExercise(
    id="12.4",
    minutes=10,
    difficulty=4,
    importance=5,
    reference=top_p_filter,
    oracle=_oracle,
    cases=_cases,
    explain=explained(_oracle, "p"),
    battery=Battery(gradients=False, beyond=_beyond),
    misconceptions={
        "the crossing token is cut off": _CROSSING.to(_filtered, keep=lambda probs, p: probs.cumsum(-1) <= p),
        "the crossing token is cut off, and one that reaches p exactly": _CROSSING.to(
            _filtered, keep=lambda probs, p: probs.cumsum(-1) < p - 1e-9
        ),
        "the crossing token is cut off, the first kept": Say(
            "The token that crosses p is cut off, so what remains has less than p. Keep a token if the sum *before* it "
            "is still below p; then the first one needs no exception."
        ).to(_filtered, keep=lambda probs, p: _at_least_one(probs.cumsum(-1) <= p)),
        "one too many": Say(
            "One token too many remains. Once the kept ones reach p, the next one goes. By how many places is your sum "
            "shifted?"
        ).to(
            _filtered,
            keep=lambda probs, p: _before(probs) - probs.roll(1, -1) * (torch.arange(probs.shape[-1]) > 0) < p,
        ),
        "from the least likely": Say(
            "The sum begins with the least likely token, so the most likely ones are cut off. In which direction is it "
            "sorted?"
        ).to(_filtered, order=lambda logits: logits.argsort(-1)),
        "not sorted": Say(
            "The sum runs over the tokens in the order of the vocabulary. Sort first: the fewest tokens that reach p "
            "are the most likely ones."
        ).to(_filtered, order=lambda logits: torch.arange(logits.shape[-1]).expand(logits.shape)),
        "sum of logits": Say(
            "Logits are summed and compared with p. It is the probabilities that reach p: where does the softmax come?"
        ).to(_filtered, mass=lambda logits: logits.double()),
        "not put back": Say(
            "The right places of the *sorted* row are cut off, in the row that is not sorted. Bring the mask back to "
            "the order of the tokens, or compare each token with a threshold."
        ).to(_filtered, put_back=lambda is_kept, order: is_kept),
        "sorted once more instead of put back": Say(
            "The mask is sorted a second time, and not put back. `gather` with the sorting order takes from those "
            "places; `scatter` writes to them."
        ).to(_filtered, put_back=lambda is_kept, order: is_kept.gather(-1, order)),
        "sorted": Say("The logits come back sorted, so they no longer belong to their tokens.").to(
            lambda logits, p: _filtered(logits.sort(-1, descending=True).values, p)
        ),
        "filled with zero": Say(
            "What is cut off gets a logit of 0. That is not 'no probability': exp(0) = 1. Which logit has a "
            "probability of exactly zero?"
        ).to(_filtered, cut=lambda logits, is_kept: logits.masked_fill(~is_kept, 0.0)),
        "the nucleus is cut off": Say(
            "The most likely tokens are cut off, and the tail remains. It should be the other way round."
        ).to(_filtered, cut=lambda logits, is_kept: logits.masked_fill(is_kept, -math.inf)),
        "each probability compared with p": Say(
            "Each token's own probability is compared with p. It is the *sum* of the most likely ones that should "
            "reach p."
        ).to(_filtered, keep=lambda probs, p: probs >= p),
        "each probability compared with what is left": Say(
            "Each token's own probability is compared with 1 - p. It is the *sum* of the most likely ones that should "
            "reach p."
        ).to(_filtered, keep=lambda probs, p: probs >= 1 - p),
        "a fraction of the vocabulary": Say(
            "The fraction p of the *tokens* remains. What p is a fraction of is the probability: where the model is "
            "sure, one token may be enough."
        ).to(
            _filtered,
            keep=lambda probs, p: torch.arange(probs.shape[-1]).expand(probs.shape) < math.ceil(p * probs.shape[-1]),
        ),
        "one number for all rows": Say(
            "All rows keep as many tokens as the first one. Each row reaches p after a number of its own."
        ).to(_filtered, keep=lambda probs, p: (_before(probs) < p).reshape(-1, probs.shape[-1])[0].expand(probs.shape)),
        "probabilities instead of logits": Say(
            "What remains are probabilities. The function returns logits: the softmax comes later."
        ).to(_filtered, cut=lambda logits, is_kept: logits.softmax(-1).masked_fill(~is_kept, -math.inf)),
        "everything kept": Say("Nothing is cut off.").to(lambda logits, p: logits),
    },
    hints=(
        "Sort each row, most likely first, and add up the probabilities. A token stays if the sum *before* it has not "
        "reached p yet. Then think about how to get back from the sorted order.",
        "`order = logits.argsort(-1, descending=True)`; `sorted_probs = probs.gather(-1, order)`. The sum before each "
        "token is the sum up to it, minus the token itself.",
        "With `is_kept` in sorted order, `torch.empty_like(is_kept).scatter(-1, order, is_kept)` writes each entry "
        "back to its token. Fill the others with minus infinity.",
    ),
)
