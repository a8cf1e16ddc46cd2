"""Samplers as values: a sequence of steps that reshape the logits, then a choice.

    sampler = Sampler((RepetitionPenalty(1.2), Temperature(0.8), TopP(0.95)))
    token = sampler.pick(logits, past, generator)

Each step is a function from :mod:`~gemini_workshop.generation.sampling` or
:mod:`~gemini_workshop.generation.penalties` with its setting. Any other callable that takes logits and the past and
returns logits is a step, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.config import GenerationConfig
from gemini_workshop.generation import penalties, sampling


@dataclass(frozen=True, slots=True)
class Past:
    """The rows of text so far, each padded on the left with :data:`~.penalties.ABSENT`."""

    prompt: Int[Tensor, "B P"]
    written: Int[Tensor, "B N"]

    @property
    def token_ids(self) -> Int[Tensor, "B T"]:
        """Prompt and generated tokens joined; padding between them moves to the left."""
        both = torch.cat([self.prompt, self.written], dim=1)
        if (self.written >= 0).all():
            return both
        return both.gather(1, (both >= 0).int().argsort(dim=1, stable=True))


Step = Callable[[Tensor, Past], Tensor]


@dataclass(frozen=True)
class FunctionStep:
    """A step made of a function and its setting: ``function(logits, setting)``.

    Attributes:
        function: of the logits, of the tokens it looks back at, if any, and of the setting.
        looks_back_at: the attribute of :class:`Past` that holds those tokens.
        neutral: the setting that changes nothing.
    """

    setting: Any
    function: ClassVar[Callable[..., Tensor]]
    looks_back_at: ClassVar[Literal["token_ids", "written"] | None] = None
    neutral: ClassVar[Any] = None

    def __call__(self, logits: Float[Tensor, "B V"], past: Past) -> Float[Tensor, "B V"]:
        """Apply the function to the logits."""
        seen = [] if self.looks_back_at is None else [getattr(past, self.looks_back_at)]
        return type(self).function(logits, *seen, self.setting)


class Temperature(FunctionStep):
    """Below 1 more predictable, above 1 more varied; at 0 only the most likely token remains."""

    function, neutral = sampling.apply_temperature, 1.0


class TopK(FunctionStep):
    """Only the k most likely tokens."""

    function = sampling.top_k_filter


class TopP(FunctionStep):
    """Only the fewest tokens, most likely first, whose probabilities reach p."""

    function = sampling.top_p_filter


class MinP(FunctionStep):
    """Only tokens at least min_p times as likely as the most likely one."""

    function = sampling.min_p_filter


class Typical(FunctionStep):
    """Only tokens that surprise about as much as is to be expected."""

    function = sampling.typical_filter


class RepetitionPenalty(FunctionStep):
    """Above 1, tokens of the whole text, prompt included, become less likely."""

    function, looks_back_at, neutral = penalties.apply_repetition_penalty, "token_ids", 1.0


class PresencePenalty(FunctionStep):
    """Subtracted from the logit of every token that was generated; the prompt does not count."""

    function, looks_back_at, neutral = penalties.apply_presence_penalty, "written", 0.0


class FrequencyPenalty(FunctionStep):
    """Subtracted from the logit of a token for each time it was generated; the prompt does not count."""

    function, looks_back_at, neutral = penalties.apply_frequency_penalty, "written", 0.0


class NoRepeatNgram(FunctionStep):
    """No n-gram of this length that is in the text already, prompt included."""

    function, looks_back_at = penalties.forbid_repeated_ngrams, "token_ids"


class Bias(FunctionStep):
    """A number added to the logit of some tokens: ``{id: amount}``."""

    function = penalties.apply_bias


@dataclass(frozen=True, slots=True)
class Sampler:
    """Steps, then the choice.

    Args:
        steps: applied to the logits in this order.
        is_greedy: take the most likely of the remaining tokens, instead of sampling.
    """

    steps: Sequence[Step] = ()
    is_greedy: bool = field(default=False, kw_only=True)

    def shape(self, logits: Float[Tensor, "B V"], past: Past) -> Float[Tensor, "B V"]:
        """The logits after all steps, in float32 and on the CPU, so that a seed means the same on every device."""
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
        """The probabilities with which :meth:`pick` samples."""
        logits = self.shape(logits, past)
        sampling.check_choice(logits)
        if self.is_greedy:
            return F.one_hot(sampling.greedy(logits), logits.shape[-1]).to(logits.dtype)
        return logits.softmax(dim=-1)


def sampler_from(config: GenerationConfig, first: Sequence[Step] = ()) -> Sampler:
    """The sampler that a configuration describes.

    Args:
        first: steps before all others: a :class:`Bias`, a constraint.
    """
    looking_back = [
        RepetitionPenalty(config.repetition_penalty),
        PresencePenalty(config.presence_penalty),
        FrequencyPenalty(config.frequency_penalty),
        NoRepeatNgram(config.no_repeat_ngram),
    ]
    reshaping = [
        Temperature(config.temperature),
        TopK(config.top_k),
        TopP(config.top_p),
        MinP(config.min_p),
        Typical(config.typical_p),
    ]
    is_greedy = config.temperature == 0
    wanted = looking_back if is_greedy else looking_back + reshaping
    return Sampler((*first, *(step for step in wanted if step.setting != step.neutral)), is_greedy=is_greedy)
