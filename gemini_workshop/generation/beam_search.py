"""Beam search: extend several texts side by side and keep the most likely.

    every beam -> its continuations -> the best of all -> finished ones aside, the others are the next beams

A finished text is scored by ``sum of log-probabilities / length ** length_penalty``, its stop token included: with 0
short texts win, with 1 the score is the mean, above 1 long texts win.

With several groups, the beams are split, and a group is penalized for choosing the tokens that earlier groups chose at
the same place (diverse beam search).

Source: Wu et al. 2016, arXiv:1609.08144, section 7 (length); Vijayakumar et al. 2016, arXiv:1610.02424 (groups).
Differs: when to stop and how to count the length is as in transformers, token by token.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.reader import Reader
from gemini_workshop.generation.sampler import Past, Sampler, Step
from gemini_workshop.models.transformer import Transformer


@dataclass(frozen=True, kw_only=True, slots=True)
class BeamSettings:
    """What to search for; of texts that no step cuts off there may be fewer.

    Args:
        num_beams: of all groups together.
        max_new_tokens: where an unfinished text ends.
        stop_ids: tokens that finish a text.
        num_best: how many texts to return, of each group.
        length_penalty: see the top of this file.
        early_stopping: True: stop as soon as ``num_beams`` texts are finished. False: when the best beam, were it to
            end now, would not be among them. "never": when it cannot get there even at its best length.
        num_groups: each has the same number of beams.
        diversity_penalty: what a token loses in a group for each beam of earlier groups that chose it at this place.

    Raises:
        WorkshopError: the numbers of beams, groups and texts do not fit together.
    """

    num_beams: int
    max_new_tokens: int
    stop_ids: Collection[int] = ()
    num_best: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False
    num_groups: int = 1
    diversity_penalty: float = 0.0

    def __post_init__(self) -> None:
        if self.num_groups < 1 or self.num_beams < 1 or self.num_beams % self.num_groups:
            raise WorkshopError(
                f"num_beams={self.num_beams} cannot be split into num_groups={self.num_groups}. "
                "Each group needs the same number of beams, at least one."
            )
        if not 1 <= self.num_best <= self.beams_per_group:
            raise WorkshopError(
                f"num_best={self.num_best} texts cannot come from {self.beams_per_group} beams. "
                f"Choose 1 to {self.beams_per_group}, or more beams."
            )

    @property
    def beams_per_group(self) -> int:
        """Beams of one group."""
        return self.num_beams // self.num_groups


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A text that beam search found.

    Attributes:
        token_ids: the new tokens, without the stop id.
        score: see the top of this file.
        is_finished: a stop id ended it, and not the limit on new tokens.
    """

    token_ids: list[int]
    score: float
    is_finished: bool


def best_continuations(
    log_probs: Float[Tensor, "beams V"],
    scores: Float[Tensor, " beams"],
    number: int,
    penalty: Float[Tensor, " V"] | float = 0.0,
) -> tuple[Float[Tensor, " best"], Int[Tensor, " best"], Int[Tensor, " best"]]:
    """The best ways to continue any of the beams by one token, best first: their scores, beams and tokens.

    Args:
        penalty: what tokens lose in the choice, but not in their scores.

    Example:
        >>> log_probs = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log()
        >>> scores, beams, tokens = best_continuations(log_probs, torch.tensor([0.4, 0.6]).log(), number=3)
        >>> scores.exp(), beams, tokens
        (tensor([0.3600, 0.3000, 0.3000]), tensor([0, 1, 1]), tensor([0, 0, 1]))
    """
    totals = scores.unsqueeze(1) + log_probs
    best = (totals - penalty).flatten().topk(min(number, totals.numel())).indices
    return totals.flatten()[best], best // log_probs.shape[1], best % log_probs.shape[1]


@dataclass(slots=True)
class Beams:
    """The beams of one group, and the texts they have finished.

    Attributes:
        texts: the new tokens of each beam; at the beginning there is one, and it is empty.
        scores: the sum of the log-probabilities of each.
        finished: the best finished texts, best first, at most as many as beams.
        is_open: continuing may find something better.
    """

    settings: BeamSettings
    texts: list[list[int]] = field(default_factory=lambda: [[]])
    scores: Float[Tensor, " beams"] = field(default_factory=lambda: torch.zeros(1))
    finished: list[Hypothesis] = field(default_factory=list)
    is_open: bool = True

    def advance(
        self, log_probs: Float[Tensor, "beams V"], penalty: Float[Tensor, " V"] | float = 0.0
    ) -> tuple[list[int], list[int]]:
        """Continue the beams by one token each; return which old beam each new one continues, and by which token.

        There are enough candidates to continue even if the best all end: at worst, every beam ends with each of the
        stop ids. Only the best ``beams_per_group`` may finish.

        Example, of two beams, where token 0 ends a text:
            >>> beams = Beams(BeamSettings(num_beams=2, max_new_tokens=3, stop_ids=[0]))
            >>> beams.advance(torch.tensor([[0.5, 0.3, 0.2]]).log())
            ([0, 0], [1, 2])
            >>> beams.texts, beams.finished[0].token_ids
            ([[1], [2]], [])
        """
        settings, num_beams = self.settings, self.settings.beams_per_group
        is_last = len(self.texts[0]) + 1 == settings.max_new_tokens
        number = max(2, 1 + len(settings.stop_ids)) * num_beams
        scores, beams, tokens = best_continuations(log_probs, self.scores, number, penalty)
        texts = [[*self.texts[beam], token] for beam, token in zip(beams.tolist(), tokens.tolist(), strict=True)]
        fits = [score > -math.inf for score in scores.tolist()]  # what a step cut off is no continuation
        for text, score, is_one in zip(texts[:num_beams], scores.tolist(), fits, strict=False):
            if is_one and (is_last or text[-1] in settings.stop_ids):
                self._finish(text, score)
        goes_on = [is_one and text[-1] not in settings.stop_ids for text, is_one in zip(texts, fits, strict=True)]
        chosen = [rank for rank, is_one in enumerate(goes_on) if is_one][:num_beams]
        self.texts, self.scores = [texts[rank] for rank in chosen], scores[chosen]
        self.is_open = bool(chosen) and not is_last and self._can_improve()
        return beams[chosen].tolist(), tokens[chosen].tolist()

    def _finish(self, text: list[int], log_prob: float) -> None:
        is_finished = text[-1] in self.settings.stop_ids
        score = log_prob / len(text) ** self.settings.length_penalty
        self.finished.append(Hypothesis(text[:-1] if is_finished else text, score, is_finished))
        self.finished.sort(key=lambda hypothesis: -hypothesis.score)
        del self.finished[self.settings.beams_per_group :]

    def _can_improve(self) -> bool:
        """Whether the best beam, if it ended well, would be among the finished ones."""
        settings = self.settings
        if len(self.finished) < settings.beams_per_group:
            return True
        if settings.early_stopping is True:
            return False
        # The sum of log-probabilities only falls. So a text's score is at most today's sum, divided by its length then.
        is_patient = settings.early_stopping == "never" and settings.length_penalty > 0
        length = settings.max_new_tokens if is_patient else len(self.texts[0])
        return float(self.scores[0]) / length**settings.length_penalty > self.finished[-1].score


def beam_search(
    model: Transformer, prompt_ids: Sequence[int], settings: BeamSettings, steps: Sequence[Step] = ()
) -> list[Hypothesis]:
    """The most likely continuations that beam search finds, best first; with groups, those of each group in turn.

    Args:
        steps: reshape the log-probabilities first, as in a :class:`~.sampler.Sampler`.
    """
    groups = [Beams(settings) for _ in range(settings.num_groups)]
    reader, sampler = Reader(model, max_tokens=len(prompt_ids) + settings.max_new_tokens), Sampler(steps)
    prompt_row = torch.zeros(settings.num_groups, dtype=torch.long)  # each group begins with one beam: the prompt
    logits = reader.read([prompt_ids])[prompt_row]
    reader.reorder(prompt_row)
    while True:
        open_groups = [group for group in groups if group.is_open]
        log_probs = sampler.shape(logits.float().log_softmax(dim=-1), _past(prompt_ids, open_groups))
        beams, tokens = _advance(open_groups, log_probs, settings.diversity_penalty)
        if not tokens:
            return [hypothesis for group in groups for hypothesis in group.finished[: settings.num_best]]
        reader.reorder(torch.tensor(beams))
        logits = reader.read_next(torch.tensor(tokens))


def _advance(
    groups: Sequence[Beams], log_probs: Float[Tensor, "all_beams V"], diversity_penalty: float
) -> tuple[list[int], list[int]]:
    """Advance each group in turn; return the old row and the new token of each beam in groups that stay open."""
    all_beams, all_tokens, start = [], [], 0
    num_chosen = torch.zeros(log_probs.shape[1])
    for group in groups:
        end = start + len(group.texts)
        beams, tokens = group.advance(log_probs[start:end], diversity_penalty * num_chosen)
        num_chosen += torch.bincount(torch.tensor(tokens, dtype=torch.long), minlength=len(num_chosen))
        if group.is_open:
            all_beams += [start + beam for beam in beams]
            all_tokens += tokens
        start = end
    return all_beams, all_tokens


def _past(prompt_ids: Sequence[int], groups: Sequence[Beams]) -> Past:
    texts = [text for group in groups for text in group.texts]
    prompt = torch.tensor(prompt_ids).expand(len(texts), -1)
    return Past(prompt, torch.tensor(texts, dtype=torch.long).reshape(len(texts), -1))
