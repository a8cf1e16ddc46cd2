"""The gates of the project's milestones: each looks at what was built, and says in words what is missing.

    print(tokenizer_gate(tokenizer, texts))      ✓ milestone 1 · tokenizer

A gate never raises about what it looks at: what fails is its answer.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.config import ModelConfig
from gemini_workshop.data.media.encoding import MARKS, Encoded
from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.evaluation.abilities import Ability
from gemini_workshop.models.accounting import num_active_parameters, num_parameters
from gemini_workshop.models.transformer import Transformer

NAMES = ("tokenizer", "config", "decoder", "media", "training", "evaluation", "generation")
MAX_TOKENS_PER_BYTE = 0.7
STILL = 1e-4  # of a logit: more is a change
EQUAL = 1e-3  # of a logit, in float32
WELL_BELOW = 0.9  # of the loss of a guess


@dataclass(frozen=True, slots=True)
class Gate:
    """What a gate found.

    Args:
        problem: what is wrong, and what is needed; empty if the milestone is reached.
    """

    name: str
    problem: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the milestone is reached."""
        return not self.problem

    def __str__(self) -> str:
        heading = f"{'✓' if self.is_open else '✗'} milestone {NAMES.index(self.name) + 1} · {self.name}"
        return heading if self.is_open else f"{heading}\n  {self.problem}"


def _gate(name: str) -> Callable[[Callable[..., str | None]], Callable[..., Gate]]:
    """From a function that returns a sentence or nothing to a gate of that name."""

    def decorate(problem: Callable[..., str | None]) -> Callable[..., Gate]:
        @functools.wraps(problem)
        def gate(*args: object, **named: object) -> Gate:
            try:
                return Gate(name, problem(*args, **named) or "")
            except Exception as error:
                return Gate(name, f"It fails with {type(error).__name__}: {str(error)[:300]}")

        return gate

    return decorate


@_gate("tokenizer")
def tokenizer_gate(tokenizer: Tokenizer, texts: Sequence[str]) -> str | None:
    """Texts come back as they were, none of them makes a mark, and tokens are fewer than bytes."""
    if missing := [mark for mark in MARKS if mark not in tokenizer.special_tokens]:
        return f"The vocabulary has no {', '.join(missing)}. Learn it with special_tokens=MARKS."
    marks = {tokenizer.special_tokens[mark] for mark in MARKS}
    for text in [*texts, " ".join(MARKS)]:
        ids = tokenizer.encode(text)
        if marks & set(ids):
            return f"The text {text[:40]!r} makes a mark. Marks are ids that no text may produce."
        if (back := tokenizer.decode(ids)) != text:
            return f"{text[:40]!r} comes back as {back[:40]!r}. Decoding has to give the same text."
    ratio = sum(len(tokenizer.encode(text)) for text in texts) / sum(len(text.encode()) for text in texts)
    if ratio > MAX_TOKENS_PER_BYTE:
        return (
            f"These texts take {ratio:.2f} tokens per byte; at most {MAX_TOKENS_PER_BYTE} are wanted. Learn the merges "
            "from texts of the tasks, or from more of them."
        )
    return None


@_gate("config")
def config_gate(config: ModelConfig, max_parameters: int, max_active: int) -> str | None:
    """Within the budget, sparse, local and global, with places for media."""
    total, active = num_parameters(config), num_active_parameters(config)
    table = config.vocab_size * config.embed_dim
    if total > max_parameters:
        return (
            f"The model has {total:,} parameters, and the budget is {max_parameters:,}. The embedding takes {table:,} "
            "of them; experts are most of the rest. Make it narrower, or take fewer or smaller experts."
        )
    if active > max_active:
        return (
            f"A token meets {active:,} parameters, and the budget is {max_active:,}. Send it to fewer experts, or make "
            "them smaller; more experts of the same size cost nothing here."
        )
    if config.moe is None or config.moe.experts_per_token >= config.moe.num_experts:
        return "No layer is sparse: a token has to be sent to some of the experts (config.moe) and not to all."
    windows = [layer.window_tokens for layer in config.layers]
    if None not in windows or all(window is None for window in windows):
        kind = "local" if None not in windows else "global"
        return f"All layers are {kind}. Local ones are cheap, global ones see everything: the model needs both."
    if config.media is None or config.media.audio_token_id is None:
        return "The model takes text alone. Give it media with image_token_id and audio_token_id."
    return None


@_gate("decoder")
@torch.no_grad()
def decoder_gate(model: Transformer, reference: Transformer) -> str | None:
    """The same weights as in the package's decoder give the same logits, and no token sees a later one."""
    reference.load_state_dict(model.state_dict())
    ids = torch.arange(40)[None] * 7 % (model.config.vocab_size // 2)
    difference = float((model(ids) - reference(ids)).abs().max())
    if difference > EQUAL:
        return (
            f"With the same weights the logits differ from the package's by {difference:.3g}. Which part is it? Take "
            "yours out one by one."
        )
    if (leak := _moved(model, ids, 20)) is not None and leak < 20:
        return f"Exchanging token 20 changes the scores after token {leak}: the future leaks into the past."
    return None


def _moved(model: Transformer, ids: Int[Tensor, "1 T"], place: int) -> int | None:
    """The first place whose scores move when a token is exchanged."""
    changed = ids.clone()
    changed[0, place] = (ids[0, place] + 1) % (model.config.vocab_size // 2)
    return _first_difference(model(ids), model(changed))


def _first_difference(before: Float[Tensor, "1 T V"], after: Float[Tensor, "1 T V"]) -> int | None:
    places = ((before - after).abs().amax(-1)[0] > STILL).nonzero()
    return int(places[0]) if len(places) else None


@_gate("media")
@torch.no_grad()
def media_gate(model: Transformer, question: Encoded) -> str | None:
    """A question with an image and audio: either changes what comes after it, and nothing before it."""
    ids, media = torch.tensor([question.ids]), question.media
    config = model.config.media
    assert config is not None  # the gate of the config is the one before
    assert config.audio_token_id is not None
    if not media.patches.shape[1] or not media.frames.shape[1]:
        return "The question holds no image or no audio. Give it one of each."
    before = model(ids, media=media)
    others = {
        "image": (media._replace(patches=1 - media.patches), config.image_token_id),
        "audio": (media._replace(frames=media.frames.flip(1) + 0.5), config.audio_token_id),
    }
    for name, (changed, mark) in others.items():
        place, first = question.ids.index(mark), _first_difference(before, model(ids, media=changed))
        if first is None:
            return f"Another {name} changes nothing: the model does not read it. Do its vectors reach their places?"
        if first < place:
            return f"Another {name} changes the scores of token {first}, which comes before it: a leak."
    return None


@_gate("training")
def training_gate(losses: Sequence[float], vocab_size: int) -> str | None:
    """The loss is finite all the way and ends well below that of a guess."""
    wrong = next((step for step, loss in enumerate(losses) if not math.isfinite(loss)), None)
    if wrong is not None:
        return f"The loss of step {wrong} is {losses[wrong]}. Lower the learning rate, and clip the gradients."
    guess, last = math.log(vocab_size), sum(losses[-5:]) / len(losses[-5:])
    if last > WELL_BELOW * guess:
        return (
            f"The loss ends at {last:.2f} nats; a guess among {vocab_size} tokens costs {guess:.2f}. Train longer, or "
            "raise the learning rate. If it rose at the end, lower it."
        )
    return None


@_gate("evaluation")
def evaluation_gate(abilities: Sequence[Ability], chance: Mapping[str, float]) -> str | None:
    """Every task is answered better than by chance: the whole interval lies above it."""
    for ability in abilities:
        low, _ = ability.interval
        if low <= chance[ability.task]:
            return (
                f"{ability.task}: {ability.num_right} of {ability.num_asked} right, so the accuracy may be as low as "
                f"{low:.0%}, and chance is {chance[ability.task]:.0%}. Train longer on it, or ask more questions."
            )
    return None


@_gate("generation")
def generation_gate(cached: Sequence[Sequence[int]], uncached: Sequence[Sequence[int]]) -> str | None:
    """The cache changes nothing, and answers are not empty."""
    for number, (fast, slow) in enumerate(zip(cached, uncached, strict=True)):
        if not fast:
            return f"Answer {number} is empty. Does the first token end it? Look at stop_ids and the question."
        if list(fast) != list(slow):
            place = next(
                (i for i, (a, b) in enumerate(zip(fast, slow, strict=False)) if a != b), min(len(fast), len(slow))
            )
            return f"Answer {number} differs from the one without a cache at token {place}: the cache changes the text."
    return None
