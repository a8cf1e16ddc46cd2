"""Beam search: write several texts side by side and keep the likeliest.

    every beam -> its continuations -> the best of all -> finished ones aside, the others are the next beams

A finished text is scored by ``sum of log-probabilities / length ** length_penalty``, its stop token included: with 0
short texts win, with 1 it is the mean, above that long ones win.

With several groups the beams are parted, and a group is charged for choosing the tokens that the groups before it
chose at the same place: the groups go different ways.

Source: Wu et al. 2016, arXiv:1609.08144, section 7 (length); Vijayakumar et al. 2016, arXiv:1610.02424 (groups).
Differs: when to stop and how to count the length is as in transformers, token by token.
"""

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
    charge: Float[Tensor, " V"] | float = 0.0,
) -> tuple[Float[Tensor, " best"], Int[Tensor, " best"], Int[Tensor, " best"]]:
    """The best ways to continue any of the beams by one token, best first: their scores, beams and tokens.

    Args:
        charge: what tokens lose in the choice, but not in their scores.

    Example:
        >>> log_probs = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log()
        >>> scores, beams, tokens = best_continuations(log_probs, torch.tensor([0.4, 0.6]).log(), number=3)
        >>> scores.exp(), beams, tokens
        (tensor([0.3600, 0.3000, 0.3000]), tensor([0, 1, 1]), tensor([0, 0, 1]))
    """
    totals = scores.unsqueeze(1) + log_probs
    best = (totals - charge).flatten().topk(min(number, totals.numel())).indices
    return totals.flatten()[best], best // log_probs.shape[1], best % log_probs.shape[1]


@dataclass(slots=True)
class Beams:
    """The beams of one group, and what they have finished.

    Attributes:
        texts: the new tokens of each beam; at the beginning there is one, and it is empty.
        scores: the sum of the log-probabilities of each.
        finished: the best finished texts, best first, at most as many as beams.
        is_open: going on may find something better.
    """

    num_beams: int
    max_new_tokens: int
    stop_ids: Collection[int]
    length_penalty: float
    early_stopping: bool | Literal["never"]
    texts: list[list[int]] = field(default_factory=lambda: [[]])
    scores: Float[Tensor, " beams"] = field(default_factory=lambda: torch.zeros(1))
    finished: list[Hypothesis] = field(default_factory=list)
    is_open: bool = True

    def advance(
        self, log_probs: Float[Tensor, "beams V"], charge: Float[Tensor, " V"] | float = 0.0
    ) -> tuple[list[int], list[int]]:
        """Continue the beams by one token each; return which old beam each new one continues, and by which token.

        So many candidates are looked at that enough go on even if the best all end. Only the best ``num_beams`` may
        finish.
        """
        is_last = len(self.texts[0]) + 1 == self.max_new_tokens
        number = max(2, 1 + len(self.stop_ids)) * self.num_beams
        scores, beams, tokens = best_continuations(log_probs, self.scores, number, charge)
        texts = [[*self.texts[beam], token] for beam, token in zip(beams.tolist(), tokens.tolist(), strict=True)]
        for text, score in zip(texts[: self.num_beams], scores.tolist(), strict=False):
            if is_last or text[-1] in self.stop_ids:
                self._finish(text, score)
        chosen = [rank for rank, text in enumerate(texts) if text[-1] not in self.stop_ids][: self.num_beams]
        self.texts, self.scores = [texts[rank] for rank in chosen], scores[chosen]
        self.is_open = bool(chosen) and not is_last and self._can_improve()
        return beams[chosen].tolist(), tokens[chosen].tolist()

    def _finish(self, text: list[int], log_prob: float) -> None:
        is_finished = text[-1] in self.stop_ids
        score = log_prob / len(text) ** self.length_penalty
        self.finished.append(Hypothesis(text[:-1] if is_finished else text, score, is_finished))
        self.finished.sort(key=lambda hypothesis: -hypothesis.score)
        del self.finished[self.num_beams :]

    def _can_improve(self) -> bool:
        """Whether the best beam, if it ended well, would be among the finished ones."""
        if len(self.finished) < self.num_beams:
            return True
        if self.early_stopping is True:
            return False
        is_patient = self.early_stopping == "never" and self.length_penalty > 0
        length = self.max_new_tokens if is_patient else len(self.texts[0])
        return float(self.scores[0]) / length**self.length_penalty > self.finished[-1].score


def beam_search(
    model: Transformer,
    prompt_ids: Sequence[int],
    *,
    num_beams: int,
    max_new_tokens: int,
    stop_ids: Collection[int] = (),
    num_best: int = 1,
    length_penalty: float = 1.0,
    early_stopping: bool | Literal["never"] = False,
    num_groups: int = 1,
    diversity_penalty: float = 0.0,
    steps: Sequence[Step] = (),
) -> list[Hypothesis]:
    """The likeliest continuations that beam search finds, best first; with groups, those of each group in turn.

    Args:
        num_beams: of all groups together.
        num_best: how many to return, of each group.
        early_stopping: True: stop as soon as ``num_beams`` texts are finished. False: when the best beam, were it to
            end now, would not be among them. "never": when it cannot get there even at its best length.
        diversity_penalty: what a token loses in a group for each beam of earlier groups that chose it at this place.
        steps: reshape the log-probabilities first, as in a :class:`~.sampler.Sampler`.

    Raises:
        WorkshopError: the numbers of beams, groups and texts do not fit together.
    """
    _check(num_beams, num_groups, num_best)
    rule = (num_beams // num_groups, max_new_tokens, set(stop_ids), length_penalty, early_stopping)
    groups = [Beams(*rule) for _ in range(num_groups)]
    reader, sampler = Reader(model, max_tokens=len(prompt_ids) + max_new_tokens), Sampler(steps)
    rows = torch.zeros(num_groups, dtype=torch.long)
    logits = reader.read([prompt_ids])[rows]
    reader.reorder(rows)
    while True:
        open_groups = [group for group in groups if group.is_open]
        log_probs = sampler.shape(logits.float().log_softmax(dim=-1), _past(prompt_ids, open_groups))
        beams, tokens = _advance(open_groups, log_probs, diversity_penalty)
        if not tokens:
            return [hypothesis for group in groups for hypothesis in group.finished[:num_best]]
        reader.reorder(torch.tensor(beams))
        logits = reader.go_on(torch.tensor(tokens))


def _advance(
    groups: Sequence[Beams], log_probs: Float[Tensor, "all_beams V"], diversity_penalty: float
) -> tuple[list[int], list[int]]:
    """Advance each group in turn; of the beams of those that remain open, the old row and the new token."""
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


def _check(num_beams: int, num_groups: int, num_best: int) -> None:
    if num_groups < 1 or num_beams < 1 or num_beams % num_groups:
        raise WorkshopError(
            f"num_beams={num_beams} cannot be parted into num_groups={num_groups}. "
            "Each group needs the same number of beams, at least one."
        )
    if not 1 <= num_best <= num_beams // num_groups:
        raise WorkshopError(
            f"num_best={num_best} texts are not what {num_beams // num_groups} beams find. "
            f"Choose 1 to {num_beams // num_groups}, or more beams."
        )
