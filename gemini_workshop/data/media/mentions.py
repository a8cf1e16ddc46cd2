r"""Files within a text, as people write them in a chat: where each is named, its content becomes a part.

    Which digit is it? seven.png            a name with the ending of an image, audio, video or document
    Is "my cat.png" like dog.png?           quoted, if there are spaces in it
    /image film.gif Which digit is it?      a command says what a file is read as: here, the first frame alone
    /video frames/ What happens?            or that it is a file, whatever its name

The commands are /image, /audio, /video and /document.
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from gemini_workshop.data.media.documents import Part, TextPart
from gemini_workshop.data.media.reading import (
    AUDIO_SUFFIXES,
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    read_audio,
    read_document,
    read_image,
    read_part,
    read_video,
)
from gemini_workshop.errors import DataError

READERS: dict[str, Callable[[Path], Sequence[Part]]] = {
    "image": lambda path: [read_image(path)],
    "audio": lambda path: [read_audio(path)],
    "video": lambda path: [read_video(path)],
    "document": lambda path: read_document(path).parts,
}
DOCUMENT_SUFFIX = ".jsonl"
_ENDINGS = "|".join(
    re.escape(suffix) for suffix in sorted({*IMAGE_SUFFIXES, *AUDIO_SUFFIXES, *VIDEO_SUFFIXES, DOCUMENT_SUFFIX})
)
_COMMAND = rf"/(?P<kind>{'|'.join(READERS)})"
_END = r"(?=[?!.,;:)]*(?:\s|$))"
MENTION = re.compile(
    rf"(?<!\S)(?:{_COMMAND}\s+(?:(?P<mark>[\"'])(?P<given>.+?)(?P=mark)|(?P<word>(?:\\ |\S)+?)(?=[?!,;:]*(?:\s|$)))"
    rf"|(?P<quote>[\"'])(?P<quoted>(?:(?!(?P=quote)).)+?(?:{_ENDINGS}))(?P=quote)"
    rf"|(?P<named>(?:\\ |[^\s\"'])+?(?:{_ENDINGS})){_END}"
    rf"|(?P<place>(?:~|\.{{0,2}})/(?:\\ |\S)+?){_END})",
    re.IGNORECASE,
)
BARE_COMMAND = re.compile(rf"(?<!\S){_COMMAND}\s*$", re.IGNORECASE)
WHOLE_LINE = re.compile(rf"{_COMMAND}\s+(?P<name>[^\"'].*)", re.IGNORECASE)


def parts_of(text: str) -> list[Part]:
    """What a text and the files that it names hold, in reading order.

    Raises:
        DataError: a file cannot be read, or a command names none.
    """
    if bare := BARE_COMMAND.search(text):
        raise DataError(f"A file name is missing. Write /{bare['kind']} FILE.")
    parts: list[Part] = []
    end = 0
    for mention in MENTION.finditer(text):
        if _is_file(mention):
            parts += [*_words(text[end : mention.start()]), *_read(mention)]
            end = mention.end()
    return [*parts, *_words(text[end:])]


def begins_with_file(line: str) -> bool:
    """Whether a file is the first thing that a line names."""
    mention = MENTION.match(line)
    return BARE_COMMAND.match(line) is not None or (mention is not None and _is_file(mention))


def with_quotes(line: str) -> str:
    """The line, its name in quotes where it is a command and the name of a file with spaces in it, and nothing else.

    Example:
        >>> with_quotes("/image a.png Which digit is it?")
        '/image a.png Which digit is it?'
    """
    whole = WHOLE_LINE.fullmatch(line)
    if whole and " " in whole["name"] and os.path.exists(_path(whole["name"])):
        mark = "'" if '"' in whole["name"] else '"'
        return f"/{whole['kind']} {mark}{whole['name']}{mark}"
    return line


def _is_file(mention: re.Match[str]) -> bool:
    """A name without a known ending is one only where a file or folder is there."""
    return mention["place"] is None or os.path.exists(_path(mention["place"]))


def _read(mention: re.Match[str]) -> Sequence[Part]:
    names = ("given", "word", "quoted", "named", "place")
    path = _path(next(mention[name] for name in names if mention[name]))
    if mention["kind"]:
        return READERS[mention["kind"].lower()](path)
    return READERS["document"](path) if path.suffix.lower() == DOCUMENT_SUFFIX else [read_part(path)]


def _path(name: str) -> Path:
    """A name as shells read it: ``~`` is the home folder, and a space may be escaped."""
    return Path(os.path.expanduser(name.replace("\\ ", " ")))


def _words(text: str) -> list[Part]:
    return [TextPart(text=text.strip())] if text.strip() else []
