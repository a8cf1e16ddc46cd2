"""The distribution of the next token before and after each step of a sampler."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.config import GenerationConfig
from gemini_workshop.demos.shelf import Loaded
from gemini_workshop.demos.vocabularies import token_texts
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.reader import Reader
from gemini_workshop.generation.sampler import FunctionStep, Past, Sampler, Step, sampler_from

NUM_SHOWN = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """The distribution after a step.

    Args:
        name: of the step; "the model" before all of them.
        probabilities: of the tokens that are shown.
        num_left: tokens of the vocabulary that can still be sampled.
    """

    name: str
    probabilities: list[float]
    num_left: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What can come next.

    Args:
        token_ids: the most likely ones by the model itself, highest first, and those by the last stage.
        picked: the token that the sampler takes with this seed.
    """

    token_ids: list[int]
    texts: list[str]
    stages: list[Stage]
    picked: int


def next_choice(
    loaded: Loaded,
    prompt_ids: Sequence[int],
    written: Sequence[int],
    config: GenerationConfig,
    num_shown: int = NUM_SHOWN,
) -> Choice:
    """The distribution of the token after a text, stage by stage.

    Args:
        written: the tokens after the prompt, at which penalties look back.

    Raises:
        WorkshopError: the text is as long as the model's window, or no token is left to sample.
    """
    model, sampler = loaded.served.model, sampler_from(config)
    if len(prompt_ids) + len(written) >= model.config.context_tokens:
        raise WorkshopError(f"The text fills the window of {model.config.context_tokens} tokens. Go back a bit.")
    with loaded.lock:
        logits = Reader(model).read([[*prompt_ids, *written]])
    past = Past(torch.tensor([list(prompt_ids)]), torch.tensor([list(written)], dtype=torch.long))
    names, distributions = ["the model"], [logits.float().cpu()]
    for step in sampler.steps:
        names.append(name_of(step))
        distributions.append(step(distributions[-1], past))
    probabilities = [each.softmax(dim=-1)[0] for each in distributions]
    shown = _shown(probabilities[0], probabilities[-1], num_shown)
    return Choice(
        token_ids=shown,
        texts=token_texts(loaded.served, shown),
        stages=[
            Stage(name=name, probabilities=each[shown].tolist(), num_left=int((each > 0).sum()))
            for name, each in zip(names, probabilities, strict=True)
        ],
        picked=_picked(sampler, logits, past, config.seed + len(written)),
    )


def _shown(before: Float[Tensor, " V"], after: Float[Tensor, " V"], number: int) -> list[int]:
    """The most likely tokens before all steps, and those after them, if they are others."""
    last = after.topk(number // 3)
    return list(dict.fromkeys([*before.topk(number).indices.tolist(), *last.indices[last.values > 0].tolist()]))


def _picked(sampler: Sampler, logits: Float[Tensor, "B V"], past: Past, seed: int) -> int:
    return int(sampler.pick(logits, past, torch.Generator().manual_seed(seed)))


def name_of(step: Step) -> str:
    """A step in words: its name and its setting.

    Example:
        >>> name_of(sampler_from(GenerationConfig(temperature=0.5, top_p=None)).steps[0])
        'temperature 0.5'
    """
    if not isinstance(step, FunctionStep):
        return type(step).__name__
    letters = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in type(step).__name__)
    return f"{letters.strip()} {step.setting:g}"
