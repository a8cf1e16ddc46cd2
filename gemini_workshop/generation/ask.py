"""A question of text, images, audio and videos to a multimodal model, and its answer.

    ask(model, tokenizer, Path("digit.png"), "Which digit is it?")

The prompt is written as in training: the end of the text before it, the parts, the end of the turn. The answer ends
with the end of text, or where the model begins a medium, which it can read but not write.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gemini_workshop.config import GenerationConfig, MediaConfig
from gemini_workshop.data.media.documents import Part, TextPart
from gemini_workshop.data.media.encoding import MARKS, MediaEncoder
from gemini_workshop.data.media.reading import read_part
from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.decode import generate
from gemini_workshop.generation.reader import Reader
from gemini_workshop.generation.sampler import Sampler
from gemini_workshop.generation.streaming import text_pieces
from gemini_workshop.models.transformer import Transformer


def ask(
    model: Transformer,
    tokenizer: Tokenizer,
    *parts: str | Path | Part,
    config: GenerationConfig | None = None,
    stop_strings: Sequence[str] = (),
    sampler: Sampler | None = None,
    reader: Reader | None = None,
) -> Iterator[str]:
    """Yield the answer in pieces, as it is sampled. It ends at the latest where the model's window is full.

    Args:
        parts: of the question, in reading order: a text, the path of a file or folder, or a part that was read already.
        config: the most likely token at each place, if left out.
        sampler: the one that ``config`` describes, if left out.
        reader: of the model, new; for those who want to look at its cache.

    Raises:
        WorkshopError: the model takes text alone, a file cannot be read, or the question is empty or longer than the
            model reads. All this is found before the first piece is asked for.
    """
    encoder = MediaEncoder(tokenizer, media_of(model))
    if not parts:
        raise WorkshopError("The question has no parts. Give a text, the path of a file, or both.")
    question = encoder.question([_read(part) for part in parts])
    room = model.config.context_tokens - len(question.ids) + 1
    if room < 1:
        raise WorkshopError(
            f"The question has {len(question.ids):,} tokens with its images and audio, and the model reads "
            f"{model.config.context_tokens:,}. Give fewer or smaller files, or a shorter text."
        )
    config = config or GenerationConfig(temperature=0.0)
    config = replace(config, max_new_tokens=min(config.max_new_tokens, room))
    ends = answer_ends(tokenizer)
    how = {"stop_ids": ends, "sampler": sampler, "reader": reader, "media": question.media}
    ids = generate(model, question.ids, config, **how)  # type: ignore[arg-type]
    return text_pieces(ids, tokenizer, stop_strings)


def answer_ends(tokenizer: Tokenizer) -> set[int]:
    """The ids that end an answer: the end of text, and where a medium would begin."""
    return {tokenizer.end_of_text_id, *(tokenizer.special_tokens[mark] for mark in MARKS)}


def media_of(model: Transformer) -> MediaConfig:
    """How media enter the model's stream.

    Raises:
        WorkshopError: they do not; the model takes text alone.
    """
    if model.config.media is None:
        raise WorkshopError(
            "The model takes text alone: model.media is null in its configuration. "
            "Choose a checkpoint that was trained with images and audio, such as a run of the preset mini-gemini."
        )
    return model.config.media


def _read(part: str | Path | Part) -> Part:
    if isinstance(part, Path):
        return read_part(part)
    return TextPart(text=part) if isinstance(part, str) else part
