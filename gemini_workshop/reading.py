"""Files that people bring, read rightly or refused with one clear error: text, JSON, JSON lines and whole numbers.

A mark in front of a text says which of Unicode's encodings it is in (UTF-8, UTF-16) and is not part of it; without one
it is UTF-8. Lines of JSON end at the line end and nowhere else: U+2028 and its like are text.
"""

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemini_workshop.errors import DataError

MAX_BYTES = 2**28  # of a file that is read as a whole
SHOWN, SHOWN_OF_PATH = 60, 250  # characters of a value, or of a path, that an error shows
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_text(path: str | Path, what: str = "a text file", *, is_ours: bool = False) -> str:
    """The text of a file; line ends become line feeds, as ``open`` reads them.

    Args:
        what: is needed, for the errors.
        is_ours: a program of ours wrote it, so it is an ordinary file: at a pipe in its place one would wait for ever.

    Raises:
        DataError: there is no such file, it cannot be read, is very large, or is not text.
    """
    try:
        if is_ours:
            check_ordinary(path)
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise unreadable(path, error, what) from None
    return decode_text(content, str(path))


def check_ordinary(path: str | Path) -> None:
    """Refuse pipes, devices and folders.

    Raises:
        OSError: there is one, or nothing.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "It is not an ordinary file", str(path))


def unreadable(path: str | Path, error: Exception, what: str = "a text file") -> DataError:
    """The error for a file that the system does not let us read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return DataError(f"{shortened(str(path), SHOWN_OF_PATH)} cannot be read: {reason}. Give the path of {what}.")


def decode_text(content: bytes, name: str) -> str:
    """Bytes to text.

    Args:
        name: of where they came from, for the errors.

    Raises:
        DataError: there are very many, or they are not text.
    """
    if len(content) > MAX_BYTES:
        raise DataError(f"{name} has more than {MAX_BYTES:,} bytes. Give a smaller file.")
    encoding = encoding_of(content[:1024], name)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name} is not text: byte {error.start} is {content[error.start] if content else 0:#04x}, which is not "
            f"{'UTF-16' if encoding == 'utf-16' else 'UTF-8'} there ({error.reason}). Save it as UTF-8."
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def encoding_of(start: bytes, name: str) -> str:
    """The encoding of a text that starts with these bytes.

    Raises:
        DataError: they are not the start of a text.

    Example:
        >>> encoding_of("Once".encode("utf-16"), "a.txt"), encoding_of(b"Once", "a.txt")
        ('utf-16', 'utf-8')
    """
    if start.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    found = next((encoding for mark, encoding in MARKS.items() if start.startswith(mark)), None)
    if found is None and b"\0" in start:
        raise DataError(f"{name} is not text: byte {start.index(0)} is 0, as in binary files. Save it as UTF-8.")
    return found or "utf-8"


def start_of(path: Path, num_bytes: int = 1024) -> bytes:
    """The first bytes of an ordinary file; of others none, because reading would take them away."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        return b""
    with path.open("rb") as file:
        return file.read(num_bytes)


def read_json(path: str | Path, what: str = "a JSON file") -> Any:
    """The content of a JSON file that a program wrote.

    Raises:
        DataError: it cannot be read, or is not JSON.
    """
    return parse_json(read_text(path, what, is_ours=True), str(path))


def parse_json(text: str, name: str) -> Any:
    """JSON of any depth that Python can read, with numbers of at most 4,300 digits.

    Args:
        name: of where it came from, for the errors.

    Raises:
        DataError: it is not JSON.
    """
    try:
        return json.loads(text)
    except RecursionError:
        reason = "it is nested too deep"
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at line {error.lineno}, column {error.colno}"
    except ValueError:
        reason = "it holds a number of too many digits"
    raise DataError(f"{name} is not JSON: {reason}. It begins with {shortened(text)!r}. Fix it.")


def read_json_lines(path: str | Path, what: str = "a file of JSON lines") -> Iterator[tuple[str, Any]]:
    """Each line that is not empty: where it is, for errors ("a.jsonl, line 3"), and its content.

    Raises:
        DataError: the file cannot be read, or a line is not JSON.
    """
    for number, line in enumerate(read_text(path, what).split("\n"), start=1):
        if line.strip():
            yield f"{path}, line {number},", parse_json(line, f"{path}, line {number},")


def without_halves(text: str) -> str:
    r"""The text with U+FFFD in place of each half of a character, which no encoding can write.

    Example:
        >>> without_halves(json.loads(r'"\ud83d\ude00 \ud83d"'))
        '😀 �'
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def shortened(text: str, shown: int = SHOWN) -> str:
    """The text, or its beginning, for an error."""
    return text if len(text) <= shown else f"{text[:shown]}..."
