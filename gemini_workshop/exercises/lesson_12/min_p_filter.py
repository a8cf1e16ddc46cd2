"""Exercise 12.5, ``min_p_filter``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.exercise import Arguments, Say
from gemini_workshop.exercises.core.tools import drawing
from gemini_workshop.exercises.lesson_12.tools import LogitsExercise, explained, log_of
from gemini_workshop.generation.sampling import min_p_filter


def _cases(generator: torch.Generator) -> list[Arguments]:
    draw = drawing(generator, 1.5)
    one = log_of((0.1, 0.5, 0.15, 0.25))
    two = log_of((0.02, 0.11, 0.3, 0.07, 0.5), (0.22, 0.28, 0.18, 0.17, 0.15)) + torch.tensor([[-4.0], [3.0]])
    return [(one, 0.4), (one, 0.25), (one, 1.0), (one, 0.0), (two, 0.55), (draw(3, 7), 0.2), (draw(2, 3, 6), 0.1)]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    return [(100 * drawing(generator)(3, 5), 0.1)]


def _oracle(logits: Tensor, min_p: float) -> Tensor:
    """Row by row: the ratio of every token to the best, from the difference of their logits."""
    rows = []
    for row in logits.reshape(-1, logits.shape[-1]).double().tolist():
        ratios = [math.exp(logit - max(row)) for logit in row]
        kept = [ratio if ratio >= min_p else 0.0 for ratio in ratios]
        rows.append([ratio / sum(kept) for ratio in kept])
    return torch.tensor(rows, dtype=torch.double).reshape(logits.shape)


def _filtered(
    logits: Tensor,
    min_p: float,
    *,
    mass: Callable[[Tensor], Tensor] = lambda logits: logits.double().softmax(-1),
    threshold: Callable[[Tensor, float], Tensor] = lambda probs, min_p: min_p * probs.amax(-1, keepdim=True),
    cut: Callable[[Tensor, Tensor], Tensor] = lambda logits, is_kept: logits.masked_fill(~is_kept, -math.inf),
) -> Tensor:
    """The right steps, with a place to go wrong at each of them."""
    probs = mass(logits)
    return cut(logits, probs >= threshold(probs, min_p) * (1 - 1e-9))


MIN_P_FILTER = LogitsExercise(
    id="12.5",
    minutes=4,
    difficulty=2,
    importance=3,
    reference=min_p_filter,
    oracle=_oracle,
    cases=_cases,
    battery=Battery(gradients=False, beyond=_beyond),
    explain=explained(_oracle, "min_p"),
    misconceptions={
        "an absolute threshold": Say(
            "Each probability is compared with min_p itself. Where the model is unsure, even the best token may be "
            "below that. Compare with min_p times the *largest* probability."
        ).to(_filtered, threshold=lambda probs, min_p: torch.full_like(probs, min_p)),
        "ratio of logits": Say(
            "A logit is compared with min_p times the largest logit. 'Times as likely' is about probabilities: where "
            "does the softmax come?"
        ).to(_filtered, mass=lambda logits: logits.double()),
        "a token at the limit is cut off": Say(
            "A token exactly at the limit is cut off; with min_p = 1 none is left at all. “At least” keeps it: is it "
            "`<` or `<=`?"
        ).to(_filtered, threshold=lambda probs, min_p: min_p * probs.amax(-1, keepdim=True) * (1 + 1e-6)),
        "subtracted from the largest": Say(
            "A token is cut off if it is more than min_p *below* the best. It should be relative: less than min_p "
            "*times* the best."
        ).to(_filtered, threshold=lambda probs, min_p: probs.amax(-1, keepdim=True) - min_p),
        "what is left to one": Say(
            "Here min_p works the wrong way round, as if it were 1 - min_p: the higher it is, the fewer tokens should "
            "remain."
        ).to(_filtered, threshold=lambda probs, min_p: (1 - min_p) * probs.amax(-1, keepdim=True)),
        "one maximum for all rows": Say(
            "All rows are compared with one largest probability. Each row has a most likely token of its own."
        ).to(_filtered, threshold=lambda probs, min_p: min_p * probs.amax()),
        "maximum over the texts": Say(
            "The largest probability is taken over the first axis, so the texts of a batch are compared with each "
            "other. The vocabulary is the last axis."
        ).to(_filtered, threshold=lambda probs, min_p: min_p * probs.amax(0, keepdim=True)),
        "relative to the mean": Say(
            "The threshold is min_p times the *mean* probability. It should be relative to the largest."
        ).to(_filtered, threshold=lambda probs, min_p: min_p * probs.mean(-1, keepdim=True)),
        "relative to the least likely": Say(
            "The threshold is relative to the *smallest* probability. It should be relative to the largest."
        ).to(_filtered, threshold=lambda probs, min_p: min_p * probs.amin(-1, keepdim=True)),
        "filled with zero": Say(
            "What is cut off gets a logit of 0. That is not 'no probability': exp(0) = 1. Which logit has a "
            "probability of exactly zero?"
        ).to(_filtered, cut=lambda logits, is_kept: logits.masked_fill(~is_kept, 0.0)),
        "the likely ones are cut off": Say(
            "The likely tokens are cut off, and the unlikely ones remain. It should be the other way round."
        ).to(_filtered, cut=lambda logits, is_kept: logits.masked_fill(is_kept, -math.inf)),
        "only the most likely": Say(
            "Only the most likely token remains. Others stay, too, if they are at least min_p times as likely."
        ).to(_filtered, threshold=lambda probs, min_p: probs.amax(-1, keepdim=True)),
        "probabilities instead of logits": Say(
            "What remains are probabilities. The function returns logits: the softmax comes later."
        ).to(_filtered, cut=lambda logits, is_kept: logits.softmax(-1).masked_fill(~is_kept, -math.inf)),
    },
    hints=(
        "Relative to what? Each row has a most likely token; the others are measured by it.",
        "Turn the logits into probabilities. The threshold of a row is min_p times its largest probability, with its "
        "axis kept.",
        "Fill with minus infinity where `probs < min_p * probs.amax(-1, keepdim=True)`.",
    ),
)
