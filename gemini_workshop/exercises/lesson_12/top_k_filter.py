"""Exercise 12.3, ``top_k_filter``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.exercise import Arguments, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_12.tools import LogitsExercise, explained, log_of
from gemini_workshop.generation.sampling import top_k_filter


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator, 2.0)
    one = log_of((0.1, 0.5, 0.15, 0.25))
    two = log_of((0.05, 0.4, 0.2, 0.3, 0.05001), (0.3, 0.1, 0.15, 0.05, 0.4)) + torch.tensor([[0.0], [9.0]])
    return [(one, 2), (one, 1), (one, 9), (two, 3), (draw(3, 7), 4), (draw(2, 3, 6), 2)]


def _oracle(logits: Tensor, k: int) -> Tensor:
    """Row by row, with a sorted list."""
    rows = []
    for row in logits.reshape(-1, logits.shape[-1]).double().tolist():
        kept = sorted(range(len(row)), key=lambda i: -row[i])[:k]
        total = sum(math.exp(row[i]) for i in kept)
        rows.append([math.exp(row[i]) / total if i in kept else 0.0 for i in range(len(row))])
    return torch.tensor(rows, dtype=torch.double).reshape(logits.shape)


def _filtered(
    logits: Tensor,
    k: int,
    *,
    number: Callable[[int], int] = lambda k: k,
    order: Callable[[Tensor], Tensor] = lambda logits: logits.argsort(-1, descending=True),
    cut: Callable[[Tensor, Tensor], Tensor] = lambda logits, is_kept: logits.masked_fill(~is_kept, -math.inf),
) -> Tensor:
    """The right steps, with a place to go wrong at each of them."""
    places = order(logits)[..., : number(k)]
    return cut(logits, torch.zeros_like(logits, dtype=torch.bool).scatter(-1, places, True))


def _threshold_of(logits: Tensor, values: Tensor, k: int) -> Tensor:
    threshold = values.topk(min(k, values.shape[-1])).values[..., -1:]
    return logits.masked_fill(logits < threshold, -math.inf)


TOP_K_FILTER = LogitsExercise(
    id="12.3",
    minutes=6,
    difficulty=3,
    importance=4,
    reference=top_k_filter,
    oracle=_oracle,
    cases=_cases,
    explain=explained(_oracle, "k"),
    misconceptions={
        "the k-th is cut off": Say(
            "One token too few remains: the k-th most likely one is cut off with the others. Is it `<` or `<=`?"
        ).to(_filtered, number=lambda k: k - 1),
        "one too many": Say("One token too many remains.").to(_filtered, number=lambda k: k + 1),
        "the most likely are cut off": Say(
            "The k most likely tokens are cut off, and the others remain. It should be the other way round."
        ).to(_filtered, cut=lambda logits, is_kept: logits.masked_fill(is_kept, -math.inf)),
        "the least likely are kept": Say("The k least likely tokens remain. In which direction is it sorted?").to(
            _filtered, order=lambda logits: logits.argsort(-1)
        ),
        "filled with zero": Say(
            "What is cut off gets a logit of 0. That is not 'no probability': exp(0) = 1, more than many a token that "
            "was kept. Which logit has a probability of exactly zero?"
        ).to(_filtered, cut=lambda logits, is_kept: logits.masked_fill(~is_kept, 0.0)),
        "filled with minus one": Say(
            "What is cut off gets a logit of -1, and exp(-1) = 0.37 is not zero. Which logit has a probability of "
            "exactly zero?"
        ).to(_filtered, cut=lambda logits, is_kept: logits.masked_fill(~is_kept, -1.0)),
        "one threshold for all rows": Say(
            "All rows are compared with one threshold. Each row has a k-th most likely token of its own, so its own "
            "threshold."
        ).to(lambda logits, k: _threshold_of(logits, logits.flatten(), k)),
        "the first row's threshold": Say(
            "All rows are compared with the threshold of one of them. Each row has a k-th most likely token of its own."
        ).to(lambda logits, k: _threshold_of(logits, logits.reshape(-1, logits.shape[-1])[0], k)),
        "only the k logits": Say(
            "Only k logits are returned, so nobody knows which tokens they belong to. Keep the vocabulary's axis, and "
            "set the others to minus infinity."
        ).to(lambda logits, k: logits.topk(min(k, logits.shape[-1])).values),
        "sorted": Say(
            "The logits come back sorted, so they no longer belong to their tokens. Put the result where the tokens "
            "are."
        ).to(lambda logits, k: _filtered(logits.sort(-1, descending=True).values, k)),
        "probabilities instead of logits": Say(
            "What remains are probabilities. The function returns logits: the softmax comes later."
        ).to(_filtered, cut=lambda logits, is_kept: logits.softmax(-1).masked_fill(~is_kept, -math.inf)),
        "everything kept": Say("Nothing is cut off.").to(lambda logits, k: logits),
        "ones": Say("The tokens that remain are equally likely. They should keep their logits.").to(
            _filtered, cut=lambda logits, is_kept: is_kept.double().log()
        ),
    },
    hints=(
        "Which logit is the k-th highest of its row? Everything below it goes. And what if k is larger than the "
        "vocabulary?",
        "`logits.topk(k).values` has the k highest of each row, the lowest of them last. topk refuses a k that is "
        "larger than the vocabulary: use the smaller of both.",
        "Fill with minus infinity where `logits < highest[..., -1:]`. The colon keeps the axis, so that each row meets "
        "its own threshold.",
    ),
)
