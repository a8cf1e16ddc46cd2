"""Files and folders that are whole or not there: written under another name, flushed to the disk, then renamed."""

import errno
import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gemini_workshop.errors import WorkshopError
from gemini_workshop.reading import SHOWN_OF_PATH, shortened

PICTURES = (".png", ".svg", ".pdf")
NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
OF_RUST = re.compile(r"\(os error ([0-9]+)\)")  # as safetensors and tokenizers tell the system's errors
OF_NUMPY = re.compile("[0-9]+ requested and [0-9]+ written")


@contextmanager
def room_for(path: str | Path) -> Iterator[None]:
    """While this lasts, an error of a disk without room names ``path``: writing itself and libraries name nothing.

    Raises:
        OSError: there is no room.
    """
    try:
        yield
    except Exception as error:
        code = _code_of(error)
        if code not in NO_ROOM:
            raise
        raise OSError(code, os.strerror(code), str(path)) from error


def _code_of(error: Exception) -> int:
    """The system's number of an error, 0 if it has none."""
    if OF_NUMPY.search(str(error)):
        return errno.ENOSPC
    if found := OF_RUST.search(str(error)):
        return int(found[1])
    return (error.errno or 0) if isinstance(error, OSError) else 0


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that whoever reads ``path``, at any moment, finds the old content or the new, never a part."""
    with opened_atomically(path) as file:
        file.write(content)


def real_target(path: str | Path) -> Path:
    """Where a file is to be written: behind a link, what the link points to.

    Raises:
        WorkshopError: a folder or a device is there, on which no file must be written, or the name is none.
    """
    try:
        path = Path(os.path.realpath(path))
        mode = path.stat().st_mode if path.exists() else None
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from None
    if mode is not None and not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "device or a pipe, not an ordinary file"
        raise WorkshopError(f"{path} cannot be written: it is a {kind}. Give the name of a new file.")
    return path


def unwritable(path: str | Path, error: Exception) -> WorkshopError:
    """The error for a file that the system does not let us write."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return WorkshopError(
        f"{shortened(str(path), SHOWN_OF_PATH)} cannot be written: {reason}. "
        "Choose a name in a folder that can be written to, on a disk with room."
    )


def write_result(path: str | Path, content: bytes) -> None:
    """Write what a command found, whole or not at all.

    Raises:
        WorkshopError: it cannot be written there.
    """
    try:
        write_atomically(path, content)
    except (OSError, ValueError) as error:
        raise error if isinstance(error, WorkshopError) else unwritable(path, error) from None


def check_target(path: str | Path) -> None:
    """Find out before the work, not after it, whether its result can be written.

    Raises:
        WorkshopError: it cannot.
    """
    real = real_target(path)
    try:
        nearest = next(place for place in real.parents if place.exists())
        if not nearest.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(nearest, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise unwritable(path, error) from None


def check_picture(path: str | Path) -> None:
    """The same for a figure, whose format its name tells.

    Raises:
        WorkshopError: it cannot be written, or its name tells no format that we can write.
    """
    if Path(path).suffix.lower() not in PICTURES:
        raise WorkshopError(f"{path} names no format of a figure. End the name in {', '.join(PICTURES)}.")
    check_target(path)


@contextmanager
def opened_atomically(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write piece by piece that takes the place of ``path`` when the block ends without an error."""
    path = real_target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with room_for(path), temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def append_whole(path: Path, content: bytes, *, is_flushed: bool = False) -> None:
    """Add to the end of a file, or leave the file as it was.

    Args:
        is_flushed: wait until it is on the disk.

    Raises:
        OSError: it cannot be written.
    """
    with room_for(path), path.open("ab", buffering=0) as file:
        length = os.fstat(file.fileno()).st_size
        try:
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if is_flushed:
                os.fsync(file.fileno())
        except OSError:
            file.truncate(length)
            raise


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """A folder to fill that takes the place of ``path`` when the block ends without an error.

    A folder that is there already is removed just before. A kill at any moment leaves nothing incomplete under the
    name ``path``, only a hidden folder that the next call for the same path removes.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise WorkshopError(f"{path} cannot become a folder: it is a file. Choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        shutil.rmtree(leftover)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with room_for(path):
            temporary.mkdir()
            yield temporary
            for file in (*temporary.rglob("*"), temporary):
                flush(file)
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
        flush(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # a full disk stays full otherwise


@contextmanager
def locked(path: str | Path, seconds: float = 5.0) -> Iterator[None]:
    """While this lasts, no other process holds the same lock; a process that ends lets go of it.

    A holder that hangs is waited for no longer than ``seconds``. Where a disk knows no locks there is none.
    """
    with Path(path).open("ab") as file:
        deadline = time.monotonic() + seconds
        while not _taken(file) and time.monotonic() < deadline:
            time.sleep(0.01)
        yield


def _taken(file: BinaryIO) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    return True


def sha256_of(path: str | Path) -> str:
    """The file's SHA-256 in hexadecimal, read in pieces, so that size does not matter."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Make sure that a file or a folder's list of names is on the disk (Windows has no such call for folders)."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
