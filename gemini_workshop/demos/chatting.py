"""A reply as it is written, with its speed and the size of its cache.

A question about files goes to the model with the files that were attached, and no others: what a text names is never
looked for on the server's disk.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from torch import Tensor

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.media.documents import Part, TextPart
from gemini_workshop.data.media.reading import read_part
from gemini_workshop.demos.shelf import Loaded
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.ask import ask
from gemini_workshop.generation.chat import ChatPartner, Conversation, Turn
from gemini_workshop.generation.reader import Reader
from gemini_workshop.generation.sampler import Past, Sampler, sampler_from

FORMAT_NOTES = {
    "story": "You and the model write a story, a paragraph each. It continues; it does not answer questions.",
    "dialogue": "You talk with the model, as User and Assistant.",
    "question": "Ask about images, audio, videos and text. Each question stands alone: the model remembers none.",
    "template": "Ask the model, which was taught to answer.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """A reply so far.

    Args:
        seconds_to_first: from the question to the first token.
        tokens_per_second: of those after the first; None before there are two.
        cache_bytes: memory of the keys and values.
        has_ended: the model said that nothing follows.
    """

    text: str
    num_tokens: int
    seconds_to_first: float
    tokens_per_second: float | None
    cache_bytes: int
    has_ended: bool = False


class TokenCount:
    """A step of a sampler that changes nothing, and knows how many tokens there are."""

    num_tokens = 0

    def __call__(self, logits: Tensor, past: Past) -> Tensor:
        """Count the token that is about to be chosen."""
        self.num_tokens = past.written.shape[1] + 1
        return logits


def replies(
    loaded: Loaded, turns: Sequence[Turn], config: GenerationConfig, system: str = "", files: Sequence[Path] = ()
) -> Iterator[Progress]:
    """The reply to the last turn, again and again as it grows.

    Args:
        files: that the last turn is about.

    Raises:
        WorkshopError: the model cannot be asked this; the message says why.
    """
    began, count = time.perf_counter(), TokenCount()
    sampler = sampler_from(config, [count])
    with loaded.lock:
        reader, pieces, partner = _begin(loaded, turns, config, system, files, sampler)
    text, first = "", None
    while True:
        with loaded.lock:
            piece = next(pieces, None)
        now = time.perf_counter()
        first = now if first is None else first
        text += piece or ""
        rate = (count.num_tokens - 1) / (now - first) if now > first else None
        yield Progress(
            text=text.lstrip(),
            num_tokens=count.num_tokens,
            seconds_to_first=first - began,
            tokens_per_second=rate,
            cache_bytes=0 if reader.cache is None else reader.cache.num_bytes(),
            has_ended=piece is None and partner.has_ended,
        )
        if piece is None:
            return


def _begin(
    loaded: Loaded,
    turns: Sequence[Turn],
    config: GenerationConfig,
    system: str,
    files: Sequence[Path],
    sampler: Sampler,
) -> tuple[Reader, Iterator[str], ChatPartner]:
    model, tokenizer, format = loaded.served.model, loaded.served.tokenizer, loaded.served.format
    partner = ChatPartner(model, tokenizer)
    if format != "question":
        if files:
            raise WorkshopError(f"{loaded.served.name} reads text alone. Remove the file, or choose another model.")
        conversation = Conversation(format, system, list(turns))
        return partner.reader, partner.reply(conversation, config, sampler=sampler), partner
    parts = [*([system] if system else []), *map(attached, files), *filter(None, [turns[-1].text.strip()])]
    how = {"config": config, "sampler": sampler, "reader": partner.reader}
    return partner.reader, ask(model, tokenizer, *map(_as_part, parts), **how), partner  # type: ignore[arg-type]


def _as_part(part: str | Part) -> Part:
    return TextPart(text=part) if isinstance(part, str) else part


def attached(path: Path) -> Part:
    """What an attached file holds.

    Raises:
        WorkshopError: it cannot be read; the message has its name, and not its place on the server.
    """
    try:
        return read_part(path)
    except WorkshopError as error:
        raise WorkshopError(str(error).replace(str(path), path.name)) from None


def side_by_side(streams: Mapping[str, Iterator[Progress]]) -> Iterator[dict[str, Progress]]:
    """The latest of several replies, which grow in turn; one that has ended waits for the others."""
    latest: dict[str, Progress] = {}
    growing = dict(streams)
    while growing:
        for name in list(growing):
            try:
                latest[name] = next(growing[name])
            except StopIteration:
                del growing[name]
        if growing:
            yield dict(latest)


def turns_of(messages: Sequence[Mapping[str, object]]) -> list[Turn]:
    """The turns of what a chat shows; files that it shows are not text."""
    turns: list[Turn] = []
    for message in messages:
        role = "user" if message["role"] == "user" else "model"
        text = _text_of(message["content"])
        if role == "user" and turns and turns[-1].role == "user":  # a file, and then what was written about it
            turns[-1].text = " ".join(filter(None, [turns[-1].text, text]))
        else:
            turns.append(Turn(role, text))  # type: ignore[arg-type]
    return turns


def files_of(messages: Sequence[Mapping[str, object]]) -> list[Path]:
    """The files of the last turn of the user."""
    files: list[Path] = []
    for message in reversed(messages):
        if message["role"] != "user":
            break
        files = [*_paths_in(message["content"]), *files]
    return files


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(filter(None, map(_text_of, content)))
    if isinstance(content, dict) and content.get("type") == "text":
        return str(content["text"])
    return ""


def _paths_in(content: object) -> list[Path]:
    if isinstance(content, list):
        return [path for item in content for path in _paths_in(item)]
    with suppress(KeyError, TypeError):
        file = cast("dict[str, dict[str, str]]", content)
        return [Path(file["file"]["path"] if "file" in file else cast("str", file["path"]))]
    return []
