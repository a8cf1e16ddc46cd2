"""Speculative decoding: draft several tokens cheaply, check them all in one pass of the model.

    draft        x1 x2 x3 x4       from a small model, or from an earlier part of the text
    the model    p1 p2 p3 p4 p5    its probabilities at each place, in one pass over all drafts
    accept x_i with probability min(1, p_i / q_i), up to the first rejection; then one token from the model

A pass over a few tokens takes hardly longer than over one, because the weights have to be read once in either case.
The text is distributed exactly as without drafts, whatever they are: a bad draft costs time, not quality.

Source: Leviathan et al. 2023, arXiv:2211.17192, algorithm 1; Saxena 2023,
github.com/apoorvumang/prompt-lookup-decoding (look-up).
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.config import GenerationConfig
from gemini_workshop.generation.cache import new_cache, reuse_prefix
from gemini_workshop.generation.penalties import ABSENT
from gemini_workshop.generation.reader import Reader, forget_older_half
from gemini_workshop.generation.sampler import Past, Sampler, sampler_from
from gemini_workshop.models.transformer import Transformer


def accept_drafts(
    drafts: Int[Tensor, "B K"],
    draft_probs: Float[Tensor, "B K V"],
    model_probs: Float[Tensor, "B K+1 V"],
    generator: torch.Generator | None = None,
) -> tuple[Int[Tensor, " B"], Int[Tensor, " B"]]:
    """How many drafts of each row to accept, and the token that follows them.

    A draft sampled with probability q, to which the model gives p, is accepted with probability min(1, p / q). The
    first rejected one is replaced by a sample from what the model gives beyond the draft: max(0, p - q), scaled to sum
    to one. Together, every token comes up with probability min(p, q) + max(0, p - q) = p. If all are accepted, one more
    is sampled from the model.

    Args:
        draft_probs: the distribution that each draft was sampled from.
        model_probs: the model's distribution at the same places, and after the last draft.

    Example, of a vocabulary of two. The draft proposes token 0 too often, q = (0.8, 0.2), and the model gives both the
    same, p = (0.5, 0.5). So 5 in 8 of the proposed tokens 0 are accepted, and in place of the others comes token 1:
        >>> 0.8 * (5 / 8), 0.2 + 0.8 * (3 / 8)
        (0.5, 0.5)

    And of drafts 1 and 0, each proposed with certainty, to which the model gives 1 and 0:
        >>> draft_probs = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
        >>> model_probs = torch.tensor([[[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]])
        >>> accept_drafts(torch.tensor([[1, 0]]), draft_probs, model_probs)  # one accepted, then 1 in place of 0
        (tensor([1]), tensor([1]))
    """
    B, K = drafts.shape
    at_drafts = drafts.unsqueeze(-1)
    p, q = model_probs[:, :K].gather(-1, at_drafts).squeeze(-1), draft_probs.gather(-1, at_drafts).squeeze(-1)
    is_accepted = torch.rand(B, K, generator=generator) * q < p  # rand < p / q, without a division
    num_accepted = is_accepted.long().cumprod(dim=-1).sum(dim=-1)  # up to the first rejection
    rows = torch.arange(B)
    beyond = F.pad(draft_probs, (0, 0, 0, 1))[rows, num_accepted]  # after the last draft there is none: zeros
    rest = (model_probs[rows, num_accepted] - beyond).clamp(min=0)
    rest = rest.where(rest.sum(dim=-1, keepdim=True) > 0, model_probs[rows, num_accepted])  # p = q but for rounding
    return num_accepted, torch.multinomial(rest, num_samples=1, generator=generator).squeeze(-1)


@runtime_checkable
class Draft(Protocol):
    """Something that guesses how a text continues."""

    def propose(
        self, token_ids: Sequence[int], past: Past, number: int, sampler: Sampler, generator: torch.Generator
    ) -> tuple[list[int], Float[Tensor, "K V"]]:
        """At most ``number`` tokens, and the distribution that each was sampled from.

        Args:
            token_ids: what the model sees of the text.
            past: all of the text, for the sampler.
        """
        ...


@dataclass(frozen=True, slots=True)
class PromptLookup:
    """Guesses that the text continues as it did after the previous occurrence of its latest tokens.

    Args:
        ngram_tokens: compare this many tokens first, then fewer.
    """

    vocab_size: int
    ngram_tokens: int = 3

    def propose(
        self,
        token_ids: Sequence[int],
        past: Past,  # noqa: ARG002  # a protocol's
        number: int,
        sampler: Sampler,  # noqa: ARG002
        generator: torch.Generator,  # noqa: ARG002
    ) -> tuple[list[int], Float[Tensor, "K V"]]:
        """What followed the latest tokens before, each with probability 1."""
        guessed = look_up(token_ids, self.ngram_tokens)[:number]
        return guessed, F.one_hot(torch.tensor(guessed, dtype=torch.long), self.vocab_size).float()


def look_up(token_ids: Sequence[int], ngram_tokens: int) -> list[int]:
    """All that followed the previous occurrence of the last tokens; of fewer tokens, if there is none.

    Example:
        >>> look_up([1, 2, 3, 9, 2, 3], ngram_tokens=3)  # 9 2 3 is new, 2 3 is not
        [9, 2, 3]
    """
    ids = list(token_ids)
    for n in range(min(ngram_tokens, len(ids) - 1), 0, -1):
        for start in range(len(ids) - n - 1, -1, -1):
            if ids[start : start + n] == ids[-n:]:
                return ids[start + n :]
    return []


class DraftModel:
    """Guesses with a smaller model that has the same vocabulary."""

    def __init__(self, model: Transformer) -> None:
        self.reader = Reader(model)

    def propose(
        self, token_ids: Sequence[int], past: Past, number: int, sampler: Sampler, generator: torch.Generator
    ) -> tuple[list[int], Float[Tensor, "K V"]]:
        """Sample one token after the other."""
        guessed: list[int] = []
        all_probs = [torch.empty(0, self.reader.model.config.vocab_size)]
        for i in range(number):
            # ``read`` computes only what is new since its last call.
            logits = self.reader.read_next(torch.tensor(guessed[-1:])) if i else self.reader.read([token_ids])
            probs = sampler.probabilities(logits, add_to_past(past, guessed))
            guessed.append(int(torch.multinomial(probs, num_samples=1, generator=generator)))
            all_probs.append(probs)
        return guessed, torch.cat(all_probs)


def generate_speculatively(
    model: Transformer,
    draft: Draft,
    prompt_ids: Sequence[int],
    config: GenerationConfig,
    *,
    num_drafts: int = 4,
    stop_ids: Collection[int] = (),
    sampler: Sampler | None = None,
) -> Iterator[int]:
    """Yield new tokens as :func:`~.decode.generate` does, from exactly the same distribution, in fewer passes.

    With greedy decoding, they are the same tokens; otherwise a seed gives other ones.

    Args:
        num_drafts: maximum number of tokens to draft before each pass.
    """
    sampler, generator = sampler or sampler_from(config), torch.Generator().manual_seed(config.seed)
    window, device = model.config.context_tokens, model.embedding.weight.device
    cache = new_cache(model, 1, min(window, len(prompt_ids) + config.max_new_tokens))
    past = Past(torch.tensor([list(prompt_ids)]), torch.empty(1, 0, dtype=torch.long))
    seen, cached_ids = list(prompt_ids[-window:]), list[int]()
    while (num_left := config.max_new_tokens - past.written.shape[1]) > 0:
        # Drafts have to fit into the window, and leave room for the token that the model adds in any case.
        number = min(num_drafts, window - len(seen), num_left - 1)
        drafts, draft_probs = draft.propose(seen, past, number, sampler, generator)
        unread = reuse_prefix(cache, cached_ids, seen)  # takes out of the cache the drafts rejected in the last round
        cached_ids = [*seen, *drafts]
        with torch.inference_mode():
            logits = model(torch.tensor([[*unread, *drafts]], device=device), cache)[0, -len(drafts) - 1 :]
        model_probs = sampler.probabilities(logits, past_at_each(past, drafts))
        num_accepted, last = accept_drafts(
            torch.tensor([drafts], dtype=torch.long), draft_probs[None], model_probs[None], generator
        )
        new = [*drafts[: int(num_accepted)], int(last)]
        for token in new:
            if token in stop_ids:
                return
            yield token
        past = add_to_past(past, new)
        seen = list(forget_older_half([*seen, *new], window))


def past_at_each(past: Past, drafts: Sequence[int]) -> Past:
    """The text after none of the drafts, after the first, and so on: one row each.

    Rows end together, as those of a batch of prompts do; :data:`~.penalties.ABSENT` fills up the shorter ones.

    Example, after 5 was generated:
        >>> past_at_each(Past(torch.tensor([[1, 2]]), torch.tensor([[5]])), [7, 8]).written.tolist()
        [[-1, -1, 5], [-1, 5, 7], [5, 7, 8]]
    """
    whole = add_to_past(past, drafts).written[0]
    rows = torch.full((len(drafts) + 1, len(whole)), ABSENT)
    for i, row in enumerate(rows):
        row[len(drafts) - i :] = whole[: len(whole) - len(drafts) + i]
    return Past(past.prompt.expand(len(rows), -1), rows)


def add_to_past(past: Past, token_ids: Sequence[int]) -> Past:
    """One row of text with more tokens generated."""
    return Past(past.prompt, torch.cat([past.written, torch.tensor([list(token_ids)], dtype=torch.long)], dim=1))
