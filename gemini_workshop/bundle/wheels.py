"""Fetch wheels into a folder: checked, resumed where it broke off, and what is there already not again."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from gemini_workshop.bundle.locking import Wheel
from gemini_workshop.data.download import download
from gemini_workshop.errors import WorkshopError
from gemini_workshop.files import room_for, sha256_of

MIB = 2**20


def missing(wheels: Sequence[Wheel], folder: Path) -> list[Wheel]:
    """The wheels that are not in the folder with the right sum; a damaged one is removed."""
    left = []
    for wheel in wheels:
        path = folder / wheel.filename
        if path.is_file() and sha256_of(path) != wheel.sha256:
            path.unlink()
        if not path.is_file():
            left.append(wheel)
    return left


def check_room(wheels: Sequence[Wheel], folder: Path, others: int) -> None:
    """Find out before the work whether the disk has room.

    Args:
        others: bytes that other files will need.

    Raises:
        WorkshopError: it has not.
    """
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    needed, free = sum(wheel.num_bytes for wheel in wheels) + others, shutil.disk_usage(place).free
    if needed > free:
        raise WorkshopError(
            f"The disk of {folder} has {free / MIB:,.0f} MiB free, and {needed / MIB:,.0f} are needed. Free some, or "
            "name a folder on another disk."
        )


def fetch(wheels: Sequence[Wheel], folder: Path, say: Callable[[str], object]) -> None:
    """Fetch what is missing.

    Raises:
        DataError: a file cannot be fetched; what has come is kept, and the next call resumes.
        OSError: there is no room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, wheel in enumerate(wheels, start=1):
        say(f"[{number}/{len(wheels)}] {wheel.package} {wheel.version} ({wheel.num_bytes / MIB:,.1f} MiB)")
        path = folder / wheel.filename
        if wheel.local is not None:
            part = path.with_name(f"{path.name}.part")
            with room_for(path):
                shutil.copyfile(wheel.local, part)
            os.replace(part, path)
        else:
            with room_for(path):
                download(wheel.url, path, wheel.sha256)


def clear(folder: Path, kept: set[str]) -> None:
    """Remove what earlier calls left and nobody needs: locks, parts, versions that are no longer wanted."""
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()
