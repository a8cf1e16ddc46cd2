"""Samplers as values: small steps that reshape scores, put in a row, and a draw at the end.

    sampler = Sampler((RepetitionPenalty(1.2), Temperature(0.8), TopP(0.95)))
    token = sampler.pick(logits, past, generator)

Each step is a frozen dataclass around the function of the same idea in :mod:`~gemini_workshop.generation.sampling`
or :mod:`~gemini_workshop.generation.penalties`. Anything that takes scores and the past and returns scores is a step,
too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.config import GenerationConfig
from gemini_workshop.generation import penalties, sampling


@dataclass(frozen=True, slots=True)
class Past:
    """The rows of text so far. Where a part of a row is shorter, :data:`~.penalties.ABSENT` stands on its left."""

    prompt: Int[Tensor, "B P"]
    written: Int[Tensor, "B N"]

    @property
    def token_ids(self) -> Int[Tensor, "B T"]:
        """Both, one after the other; what is absent in between moves to the left."""
        both = torch.cat([self.prompt, self.written], dim=1)
        if (self.written >= 0).all():
            return both
        return both.gather(1, (both >= 0).int().argsort(dim=1, stable=True))


Step = Callable[[Tensor, Past], Tensor]


@dataclass(frozen=True, slots=True)
class Temperature:
    """Below 1 safer, above 1 wilder; at 0 only the likeliest token remains."""

    temperature: float

    def __call__(self, logits: Float[Tensor, "B V"], _: Past) -> Float[Tensor, "B V"]:
        """Divide the scores."""
        return sampling.apply_temperature(logits, self.temperature)


@dataclass(frozen=True, slots=True)
class TopK:
    """Only the k likeliest tokens."""

    k: int

    def __call__(self, logits: Float[Tensor, "B V"], _: Past) -> Float[Tensor, "B V"]:
        """Cut off the others."""
        return sampling.top_k_filter(logits, self.k)


@dataclass(frozen=True, slots=True)
class TopP:
    """Only the fewest tokens, likeliest first, whose probabilities reach p."""

    p: float

    def __call__(self, logits: Float[Tensor, "B V"], _: Past) -> Float[Tensor, "B V"]:
        """Cut off the others."""
        return sampling.top_p_filter(logits, self.p)


@dataclass(frozen=True, slots=True)
class MinP:
    """Only tokens at least min_p times as likely as the likeliest."""

    min_p: float

    def __call__(self, logits: Float[Tensor, "B V"], _: Past) -> Float[Tensor, "B V"]:
        """Cut off the others."""
        return sampling.min_p_filter(logits, self.min_p)


@dataclass(frozen=True, slots=True)
class Typical:
    """Only tokens that surprise about as much as is to be expected."""

    p: float

    def __call__(self, logits: Float[Tensor, "B V"], _: Past) -> Float[Tensor, "B V"]:
        """Cut off the others."""
        return sampling.typical_filter(logits, self.p)


@dataclass(frozen=True, slots=True)
class RepetitionPenalty:
    """Tokens of the whole text, prompt included, become less likely; 1 changes nothing."""

    penalty: float

    def __call__(self, logits: Float[Tensor, "B V"], past: Past) -> Float[Tensor, "B V"]:
        """Lower their scores."""
        return penalties.apply_repetition_penalty(logits, past.token_ids, self.penalty)


@dataclass(frozen=True, slots=True)
class PresencePenalty:
    """Tokens that were written, prompt not included, lose this much; 0 changes nothing."""

    penalty: float

    def __call__(self, logits: Float[Tensor, "B V"], past: Past) -> Float[Tensor, "B V"]:
        """Lower their scores."""
        return penalties.apply_presence_penalty(logits, past.written, self.penalty)


@dataclass(frozen=True, slots=True)
class FrequencyPenalty:
    """Tokens that were written, prompt not included, lose this much each time; 0 changes nothing."""

    penalty: float

    def __call__(self, logits: Float[Tensor, "B V"], past: Past) -> Float[Tensor, "B V"]:
        """Lower their scores."""
        return penalties.apply_frequency_penalty(logits, past.written, self.penalty)


@dataclass(frozen=True, slots=True)
class NoRepeatNgram:
    """No n tokens in a row that stand in the text already, prompt included."""

    n: int

    def __call__(self, logits: Float[Tensor, "B V"], past: Past) -> Float[Tensor, "B V"]:
        """Cut off the tokens that would complete them."""
        return penalties.forbid_repeated_ngrams(logits, past.token_ids, self.n)


@dataclass(frozen=True, slots=True)
class Bias:
    """A number added to the score of some tokens."""

    bias: Mapping[int, float]

    def __call__(self, logits: Float[Tensor, "B V"], _: Past) -> Float[Tensor, "B V"]:
        """Add them."""
        return penalties.apply_bias(logits, self.bias)


@dataclass(frozen=True, slots=True)
class Sampler:
    """Steps, then the choice.

    Args:
        steps: applied to the scores in this order.
        is_greedy: take the likeliest of what remains in place of a draw.
    """

    steps: Sequence[Step] = ()
    is_greedy: bool = field(default=False, kw_only=True)

    def shape(self, logits: Float[Tensor, "B V"], past: Past) -> Float[Tensor, "B V"]:
        """The scores after all steps, in float32 and on the CPU, so that a seed draws alike on every device."""
        logits = logits.float().cpu()
        for step in self.steps:
            logits = step(logits, past)
        return logits

    def pick(
        self,
        logits: Float[Tensor, "B V"],
        past: Past,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
    ) -> Int[Tensor, " B"]:
        """One token for each row.

        Raises:
            WorkshopError: the steps leave a row no token.
        """
        logits = self.shape(logits, past)
        if not self.is_greedy:
            return sampling.sample(logits, generator)
        sampling.check_choice(logits)
        return sampling.greedy(logits)

    def probabilities(self, logits: Float[Tensor, "B V"], past: Past) -> Float[Tensor, "B V"]:
        """What :meth:`pick` draws by."""
        logits = self.shape(logits, past)
        sampling.check_choice(logits)
        if self.is_greedy:
            return F.one_hot(sampling.greedy(logits), logits.shape[-1]).to(logits.dtype)
        return logits.softmax(dim=-1)


def sampler_from(config: GenerationConfig, first: Sequence[Step] = ()) -> Sampler:
    """The sampler that a configuration describes.

    Args:
        first: steps that go before all others: a :class:`Bias`, a constraint.
    """
    looking_back: list[tuple[Callable[[Any], Step], Any, Any]] = [  # a step, its value, the value that changes nothing
        (RepetitionPenalty, config.repetition_penalty, 1.0),
        (PresencePenalty, config.presence_penalty, 0.0),
        (FrequencyPenalty, config.frequency_penalty, 0.0),
        (NoRepeatNgram, config.no_repeat_ngram, None),
    ]
    cutting_off: list[tuple[Callable[[Any], Step], Any, Any]] = [
        (Temperature, config.temperature, 1.0),
        (TopK, config.top_k, None),
        (TopP, config.top_p, None),
        (MinP, config.min_p, None),
        (Typical, config.typical_p, None),
    ]
    is_greedy = config.temperature == 0
    wanted = looking_back if is_greedy else looking_back + cutting_off
    steps = [kind(value) for kind, value, neutral in wanted if value != neutral]
    return Sampler((*first, *steps), is_greedy=is_greedy)
