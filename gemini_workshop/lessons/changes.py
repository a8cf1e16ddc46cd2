"""What a learner changed in a lesson, exercise by exercise."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from nbformat import NotebookNode

from gemini_workshop.lessons.cells import exercise_in, exercises_of


@dataclass(frozen=True, kw_only=True)
class Change:
    """One cell that differs from the starter.

    Args:
        exercise: the id of the exercise that the cell answers; empty for any other cell.
        lines: the lines that were removed (``-``) or added (``+``), with one line around them.
    """

    exercise: str
    lines: tuple[str, ...]


def changes(began_as: NotebookNode, mine: NotebookNode) -> Iterator[Change]:
    """Each cell that the learner changed, added or deleted; first in the order of the learner's notebook."""
    exercises = exercises_of(began_as)
    before = {cell.id: cell for cell in began_as.cells}
    for cell in mine.cells:
        old = before.pop(cell.get("id", ""), None)
        if lines := _difference(old.source if old else "", cell.source):
            yield Change(exercise=exercise_in(old or cell, exercises), lines=lines)
    for cell in before.values():
        yield Change(exercise=exercise_in(cell, exercises), lines=_difference(cell.source, ""))


def _difference(old: str, new: str) -> tuple[str, ...]:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm="")
    return tuple(line for line in lines if not line.startswith(("---", "+++", "@@")))
