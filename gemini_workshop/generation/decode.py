"""From a prompt to text, one token at a time.

    generate        the new tokens of one prompt, as they are sampled
    generate_text   the same as pieces of text
    generate_batch  several prompts at once, with the log-probability of every token
    complete        the same for texts, with stop strings

All four are :func:`decode`: read the prompts, then sample and read one more token of each until it ends.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.tokenizers import Tokenizer, prompt_ids, stop_ids
from gemini_workshop.generation.cache import left_padded
from gemini_workshop.generation.penalties import ABSENT
from gemini_workshop.generation.reader import Reader, decode_one, prefill
from gemini_workshop.generation.sampler import Past, Sampler, sampler_from
from gemini_workshop.generation.streaming import TextStream, text_pieces
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer

__all__ = [
    "Completion",
    "complete",
    "decode",
    "decode_one",
    "generate",
    "generate_batch",
    "generate_text",
    "prefill",
    "text_pieces",
]


def decode(
    reader: Reader,
    prompts: Sequence[Sequence[int]],
    sampler: Sampler,
    generators: Sequence[torch.Generator],
    max_new_tokens: int,
    media: Media | None = None,
) -> Iterator[tuple[Int[Tensor, " B"], Float[Tensor, "B V"]]]:
    """Yield, at each step, one new token of every row and the model's own logits that it was chosen from."""
    logits = reader.read(prompts, media)
    prompt, _ = left_padded(prompts, ABSENT)
    written = torch.empty(len(prompts), max_new_tokens, dtype=torch.long)
    for n in range(max_new_tokens):
        tokens = sampler.pick(logits, Past(prompt, written[:, :n]), generators)
        written[:, n] = tokens
        yield tokens, logits
        if n + 1 < max_new_tokens:
            logits = reader.read_next(tokens)


def generate(
    model: Transformer,
    prompt_ids: Sequence[int],
    config: GenerationConfig,
    *,
    stop_ids: Collection[int] = (),
    sampler: Sampler | None = None,
    reader: Reader | None = None,
    media: Media | None = None,
) -> Iterator[int]:
    """Yield new tokens as they are sampled, up to ``max_new_tokens``; a stop id ends the stream and is not yielded.

    Of a prompt longer than the context, the model reads the end.

    Args:
        sampler: the one that ``config`` describes, if left out.
        reader: one that has read the beginning of the prompt already; only the rest is read.
        media: what stands in the places that the prompt holds for images and audio.

    Raises:
        WorkshopError: the prompt is empty, or one of its ids is outside the vocabulary.
    """
    reader = reader or Reader(model, max_tokens=len(prompt_ids) + config.max_new_tokens)
    generators = [torch.Generator().manual_seed(config.seed)]
    sampler = sampler or sampler_from(config)
    for tokens, _ in decode(reader, [prompt_ids], sampler, generators, config.max_new_tokens, media):
        if (token := int(tokens)) in stop_ids:
            return
        yield token


def generate_text(
    model: Transformer,
    tokenizer: Tokenizer,
    prompt: str,
    config: GenerationConfig,
    *,
    stop_strings: Sequence[str] = (),
    sampler: Sampler | None = None,
) -> Iterator[str]:
    """Yield the continuation of ``prompt`` in pieces, up to the end of the text or a stop string.

    The prompt is read as the beginning of a document: before it comes what came before texts in training, in our
    models the end-of-text token.
    """
    ends = stop_ids(tokenizer)
    ids = generate(model, prompt_ids(tokenizer, prompt), config, stop_ids=ends, sampler=sampler)
    return text_pieces(ids, tokenizer, stop_strings)


@dataclass(slots=True)
class Completion:
    """What was generated after one prompt.

    Attributes:
        token_ids: the new tokens, without the stop id.
        logprobs: natural logarithm of the model's own probability of each, before any step of the sampler.
        top_logprobs: for each place, the most likely tokens and their log-probabilities.
        stopped_by: a stop id, a stop string, or the limit on new tokens.
        text: the new tokens as text, if a text was asked for.
    """

    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    top_logprobs: list[list[tuple[int, float]]] = field(default_factory=list)
    stopped_by: Literal["id", "string", "limit"] | None = None
    text: str = ""


def generate_batch(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    config: GenerationConfig,
    *,
    stop_ids: Collection[int] = (),
    sampler: Sampler | None = None,
    num_top: int = 0,
    is_finished: Callable[[int, int], bool] | None = None,
    media: Media | None = None,
) -> list[Completion]:
    """Continue several prompts, of any lengths, at once.

    Row i has the seed ``seed + i``, and is what :func:`generate` gives alone with that seed.

    Args:
        num_top: how many of the most likely tokens to record for each place.
        is_finished: called after each token with the number of its row and the token; True ends the row.
        media: what stands in the places that the prompts hold for images and audio.
    """
    rows = [Completion() for _ in prompts]
    generators = [torch.Generator().manual_seed(config.seed + i) for i in range(len(rows))]
    reader = Reader(model, max_tokens=max(map(len, prompts), default=0) + config.max_new_tokens)
    sampler = sampler or sampler_from(config)
    for tokens, logits in decode(reader, prompts, sampler, generators, config.max_new_tokens, media):
        logprobs = logits.float().log_softmax(dim=-1).cpu()
        for i, (row, token) in enumerate(zip(rows, tokens.tolist(), strict=True)):
            if row.stopped_by is not None:
                continue
            if token in stop_ids:
                row.stopped_by = "id"
                continue
            row.token_ids.append(token)
            row.logprobs.append(float(logprobs[i, token]))
            row.top_logprobs.append(most_likely(logprobs[i], num_top))
            if is_finished is not None and is_finished(i, token):
                row.stopped_by = "string"
            elif len(row.token_ids) == config.max_new_tokens:
                row.stopped_by = "limit"
        if all(row.stopped_by is not None for row in rows):
            break
    return rows


def complete(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    config: GenerationConfig,
    *,
    stop_strings: Sequence[str] = (),
    sampler: Sampler | None = None,
    num_top: int = 0,
) -> list[Completion]:
    """Continue several texts at once, each to the end of the text, a stop string or the limit.

    ``token_ids`` may include the tokens of a stop string, or some of them; ``text`` ends before it.
    """
    streams = [TextStream(tokenizer, stop_strings) for _ in prompts]

    def is_finished(row: int, token: int) -> bool:
        streams[row].push(token)
        return streams[row].stop is not None

    rows = generate_batch(
        model,
        [prompt_ids(tokenizer, prompt) for prompt in prompts],
        config,
        stop_ids=stop_ids(tokenizer),
        sampler=sampler,
        num_top=num_top,
        is_finished=is_finished,
    )
    for row, stream in zip(rows, streams, strict=True):
        stream.finish()
        row.text = stream.text
    return rows


def most_likely(logprobs: Float[Tensor, " V"], number: int) -> list[tuple[int, float]]:
    """The tokens with the highest log-probabilities, highest first."""
    top = logprobs.topk(min(number, len(logprobs)))
    return list(zip(top.indices.tolist(), top.values.tolist(), strict=True))
