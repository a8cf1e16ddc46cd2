"""The learner's folder of lessons: starters are copied into it once, and what a learner wrote is never overwritten.

The folder looks like ``notebooks/``. Its hidden folder ``.starters`` keeps each starter as it was when it was copied,
so that changes of the learner and changes of the lesson can be told apart later.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from gemini_workshop import paths
from gemini_workshop.errors import WorkshopError, unknown_name
from gemini_workshop.files import write_atomically

STARTERS = ".starters"


@dataclass(frozen=True, kw_only=True)
class LessonCopy:
    """One lesson: the starter that ships, the learner's copy, and the starter that the copy began as."""

    lesson: str
    shipped: Path
    mine: Path
    began_as: Path

    @property
    def is_behind(self) -> bool:
        """Whether the workshop now has another starter than the one that was copied."""
        return self.began_as.is_file() and self.began_as.read_bytes() != self.shipped.read_bytes()

    @property
    def solution(self) -> Path | None:
        """The solution that ships; None for a lesson that is a single notebook."""
        path = self.shipped.with_name(self.shipped.name.replace("_starter", "_solution"))
        return path if path != self.shipped and path.is_file() else None


def copies(folder: Path) -> dict[str, LessonCopy]:
    """Every lesson that ships, by its two digits, with its place in the learner's folder.

    Raises:
        WorkshopError: no lesson ships: they were never built.
    """
    notebooks = paths.notebooks_folder()
    found = {}
    for path in sorted(notebooks.rglob("[0-9][0-9]_*.ipynb"), key=lambda path: path.name):
        if not path.stem.endswith("_solution") and ".ipynb_checkpoints" not in path.parts:
            name = path.relative_to(notebooks)
            lesson = path.name[:2]
            found[lesson] = LessonCopy(
                lesson=lesson, shipped=path, mine=folder / name, began_as=folder / STARTERS / name
            )
    if not found:
        raise WorkshopError(f"There are no notebooks in {notebooks}. Build them: gemini-workshop notebooks build")
    return found


def find_copy(folder: Path, lesson: str) -> LessonCopy:
    """One lesson with its place in the learner's folder.

    Raises:
        WorkshopError: there is no such lesson; the message names the nearest.
    """
    known = copies(folder)
    if lesson.zfill(2) not in known:
        raise WorkshopError(unknown_name("lesson", lesson, known))
    return known[lesson.zfill(2)]


def begun_copy(folder: Path, lesson: str) -> LessonCopy:
    """One lesson that the learner's folder has.

    Raises:
        WorkshopError: it is not there, or nothing says which starter it began as.
    """
    copy = find_copy(folder, lesson)
    if not copy.mine.is_file():
        raise WorkshopError(
            f"Lesson {copy.lesson} is not in {folder}. Copy it there: gemini-workshop lab {copy.lesson}. "
            "If your lessons are elsewhere, add --folder FOLDER."
        )
    if not copy.began_as.is_file():
        raise WorkshopError(
            f"{copy.began_as} is missing, so nothing says which starter {copy.mine.name} began as. "
            f"For a fresh starter, with yours kept beside it: gemini-workshop lesson reset {copy.lesson}"
        )
    return copy


def lay_out(folder: Path) -> list[str]:
    """Copy every starter that the folder lacks; return the lessons that are new there.

    Raises:
        WorkshopError: the folder cannot be written.
    """
    missing = [copy for copy in copies(folder).values() if not copy.mine.exists()]
    try:
        for copy in missing:
            write_copy(copy, copy.shipped.read_bytes())
    except OSError as error:
        raise WorkshopError(
            f"The lessons cannot be copied to {folder}: {error.strerror}. Name another folder: --folder FOLDER"
        ) from None
    return [copy.lesson for copy in missing]


def write_copy(copy: LessonCopy, content: bytes) -> None:
    """Write the learner's copy and note the starter that ships now as its beginning.

    The copy comes last: after a kill in between, it is missing, and the next ``lab`` writes both again.
    """
    write_atomically(copy.began_as, copy.shipped.read_bytes())
    write_atomically(copy.mine, content)


def start_again(copy: LessonCopy, today: date) -> Path | None:
    """Write a fresh starter; return where the learner's copy went, None if there was none."""
    kept = set_aside(copy.mine, today) if copy.mine.exists() else None
    write_copy(copy, copy.shipped.read_bytes())
    return kept


def set_aside(path: Path, today: date) -> Path:
    """Rename a file so that its name ends with the date, and a number from the second of a day on."""
    number, kept = 1, path.with_stem(f"{path.stem}_{today}")
    while kept.exists():
        number += 1
        kept = path.with_stem(f"{path.stem}_{today}_{number}")
    return path.rename(kept)
