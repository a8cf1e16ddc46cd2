"""Files to documents, one at a time: a file may be larger than memory."""

import gzip
import zlib
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

from gemini_workshop.data.tokenizers.checks import END_OF_TEXT
from gemini_workshop.errors import DataError
from gemini_workshop.reading import encoding_of, parse_json, start_of, without_halves

PIECE_CHARACTERS = 1 << 16
MOST_CHARACTERS = 1 << 28  # of a document, and of a line of JSON
OTHER_FORMATS = (".json", ".csv", ".parquet", ".arrow", ".zip", ".docx", ".pdf", ".html", ".safetensors")


def read_documents(path: str | Path, boundary: str = END_OF_TEXT) -> Iterator[str]:
    """The documents of a file, without the white space around them; empty ones are left out.

    A ``.jsonl`` file holds one object per line, its document under ``text``. Any other file is text with ``boundary``
    between documents. Either may be compressed (``.gz``). A mark in front tells UTF-16; otherwise bytes that are not
    UTF-8 become ``�``, as halves of characters do that are escaped in JSON.

    Raises:
        DataError: the file cannot be read, is of another format, or a line is not an object with a text; or a document
            is so long that its boundary must be another one.
    """
    path = Path(path)
    if not boundary:
        raise DataError("boundary='' separates nothing. Give the characters between documents, for example '\\n\\n'.")
    refuse_other_formats(path)
    is_jsonl = is_json_lines(path)
    try:
        with open_text(path) as stream:
            pieces = _texts_of_jsonl(stream, path) if is_jsonl else _split_stream(stream, boundary)
            yield from (document for piece in pieces if (document := piece.strip()))
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise DataError(f"{path} cannot be read: {error}. Check the path, and that the file is complete.") from None


def is_json_lines(path: Path) -> bool:
    """Whether the name of a file says that it holds JSON lines."""
    return ".jsonl" in [suffix.lower() for suffix in path.suffixes[-2:]]


def refuse_other_formats(path: Path) -> None:
    """A file whose name says that it is neither text nor JSON lines.

    Raises:
        DataError: it is one.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:] if suffix.lower() != ".gz"]
    if suffixes and suffixes[-1] in OTHER_FORMATS:
        raise DataError(
            f"{path} is a {suffixes[-1]} file, which is not read. Write plain text, or one object per line, "
            '{"text": "..."}, into a file whose name ends in .jsonl.'
        )


def open_text(path: Path) -> TextIOWrapper:
    """The text of a file, compressed or not.

    Raises:
        DataError: it does not begin as text does.
    """
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as file:
            start = file.read(1024)
    else:
        start = start_of(path)
    encoding = encoding_of(start, str(path))
    return opener(path, "rt", encoding="utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")


def _split_stream(stream: TextIOWrapper, boundary: str) -> Iterator[str]:
    """``stream.read().split(boundary)``, without holding more than a document and a piece."""
    pieces, num_characters, tail = [""], 0, ""
    while piece := stream.read(PIECE_CHARACTERS):
        pieces.append(piece)
        num_characters += len(piece)
        if boundary in tail + piece:
            *whole, rest = "".join(pieces).split(boundary)
            yield from whole
            pieces, num_characters, piece = [rest], len(rest), rest
        tail = (tail + piece)[-len(boundary) :]
        if num_characters > MOST_CHARACTERS:
            raise DataError(_too_long(stream.name, f"a document without {boundary!r} in it"))
    yield "".join(pieces)


def _too_long(name: str, what: str) -> str:
    return f"{name} has {what} of more than {MOST_CHARACTERS:,} characters. Split it, or name another boundary."


def _texts_of_jsonl(stream: TextIOWrapper, path: Path) -> Iterator[str]:
    number = 0
    while line := stream.readline(MOST_CHARACTERS + 1):
        number += 1
        if len(line) > MOST_CHARACTERS:
            raise DataError(_too_long(str(path), f"a line, number {number},"))
        if not line.strip():
            continue
        try:
            content = parse_json(line, str(path))
        except DataError:
            content = None
        text = content.get("text") if isinstance(content, dict) else None
        if not isinstance(text, str):
            raise DataError(f'{path}, line {number}, is {line[:60]!r}, not an object like {{"text": "..."}}. Fix it.')
        yield without_halves(text) if "\\u" in line else text
