"""Files that are whole or not there: written under another name, then renamed."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that whoever reads ``path``, at any moment, finds the old content or the new, never a part."""
    with opened_atomically(path) as file:
        file.write(content)


@contextmanager
def opened_atomically(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write piece by piece that takes the place of ``path`` when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: str | Path) -> str:
    """The file's SHA-256 in hexadecimal, read in pieces, so that size does not matter."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
