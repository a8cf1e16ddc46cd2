"""Files to documents, one at a time: a file may be larger than memory."""

import gzip
import json
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

from gemini_workshop.data.tokenizers.checks import END_OF_TEXT
from gemini_workshop.errors import DataError

PIECE_CHARACTERS = 1 << 16


def read_documents(path: str | Path, boundary: str = END_OF_TEXT) -> Iterator[str]:
    """The documents of a file, without the white space around them; empty ones are left out.

    A ``.jsonl`` file holds one object per line, its document under ``text``. Any other file is text with ``boundary``
    between documents. Either may be compressed (``.gz``). Bytes that are not UTF-8 become ``�``.

    Raises:
        DataError: the file cannot be read, or a line is not an object with a text.
    """
    path = Path(path)
    if not boundary:
        raise DataError("boundary='' separates nothing. Give the characters between documents, for example '\\n\\n'.")
    is_jsonl = ".jsonl" in path.suffixes[-2:]
    try:
        with open_text(path) as stream:
            pieces = _texts_of_jsonl(stream, path) if is_jsonl else _split_stream(stream, boundary)
            yield from (document for piece in pieces if (document := piece.strip()))
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}. Check the path, and that the file is complete.") from None


def open_text(path: Path) -> TextIOWrapper:
    """The text of a file, compressed or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", errors="replace")


def _split_stream(stream: TextIOWrapper, boundary: str) -> Iterator[str]:
    """``stream.read().split(boundary)``, without holding more than a document and a piece."""
    rest = ""
    while piece := stream.read(PIECE_CHARACTERS):
        *whole, rest = (rest + piece).split(boundary)
        yield from whole
    yield rest


def _texts_of_jsonl(stream: TextIOWrapper, path: Path) -> Iterator[str]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
        except (json.JSONDecodeError, KeyError, TypeError):
            text = None
        if not isinstance(text, str):
            raise DataError(f'{path}, line {number}, is {line[:60]!r}, not an object like {{"text": "..."}}. Fix it.')
        yield text
