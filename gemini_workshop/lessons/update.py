"""A newer starter takes over what a learner wrote: cell by cell where the lesson's cell is still the same.

Where both the lesson and the learner changed a cell, the new notebook has the lesson's, followed by the learner's as
text, so that nothing is lost and nothing old runs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from gemini_workshop.errors import WorkshopError
from gemini_workshop.lessons.cells import exercise_in, exercises_of

LENGTH = re.compile(r"# TODO \(about \d+ lines?\)")
EARLIER = "**From your earlier copy.** The lesson has changed this cell since. You had written:"


@dataclass(frozen=True, kw_only=True)
class Update:
    """A newer starter with what the learner wrote.

    Args:
        carried: what was taken over, each by its exercise, or "a cell".
        both: what the lesson and the learner have both changed; both versions are in the notebook.
    """

    notebook: NotebookNode
    carried: list[str]
    both: list[str]


def updated(began_as: NotebookNode, mine: NotebookNode, shipped: NotebookNode) -> Update:
    """The starter that ships now, with the learner's answers, notes and cells of their own.

    Args:
        began_as: the starter that the learner's copy began as.

    Raises:
        WorkshopError: the cells of the learner's copy cannot be recognized.
    """
    begun = {cell.id: cell for cell in began_as.cells}
    if not any(cell.get("id") in begun for cell in mine.cells):
        raise WorkshopError("The cells of this notebook lost their ids in another program, so none can be recognized.")
    homes, exercises = _homes(began_as, shipped), exercises_of(shipped)
    written = {homes[cell.id]: cell for cell in mine.cells if cell.get("id") in homes}
    guests = list(_guests(begun, mine, homes, {exercise_in(cell, exercises): cell.id for cell in shipped.cells}))
    carried: list[str] = []
    cells = [guest.cell for guest in guests if not guest.after]
    for cell in shipped.cells:
        own = written.get(cell.id)
        if own is not None and _text(own) != _text(cell):
            carried.append(exercise_in(cell, exercises) or "a cell")
        cells += [_filled(cell, own), *(guest.cell for guest in guests if guest.after == cell.id)]
    carried += ["a cell of yours" for guest in guests if not guest.is_earlier]
    both = [guest.exercise or "a cell" for guest in guests if guest.is_earlier]
    return Update(notebook=nbformat.from_dict({**shipped, "cells": cells}), carried=carried, both=both)


@dataclass(frozen=True, kw_only=True)
class _Guest:
    """A cell of the learner that has no place in the new starter, and the id of the cell that it comes after."""

    after: str
    cell: NotebookNode
    exercise: str = ""
    is_earlier: bool = False


def _homes(began_as: NotebookNode, shipped: NotebookNode) -> dict[str, str]:
    """Where each cell of the old starter is in the new one, id by id, if its text is still the same."""
    places: dict[tuple[str, str], list[str]] = {}
    for cell in shipped.cells:
        places.setdefault(_text(cell), []).append(cell.id)
    return {cell.id: places[_text(cell)].pop(0) for cell in began_as.cells if places.get(_text(cell))}


def _guests(
    begun: dict[str, NotebookNode], mine: NotebookNode, homes: dict[str, str], places: dict[str, str]
) -> Iterator[_Guest]:
    """The learner's own cells, and what they wrote into cells that the lesson changed; ``places`` is by exercise."""
    names = exercises_of(mine)
    after = ""
    for cell in mine.cells:
        cell_id = cell.get("id", "")
        after = homes.get(cell_id, after)
        if cell_id not in begun and cell.source.strip():
            yield _Guest(after=after, cell=_with_new_id(cell))
        elif cell_id in begun and cell_id not in homes and _text(cell) != _text(begun[cell_id]):
            exercise = exercise_in(begun[cell_id], names)
            place = places.get(exercise, after) if exercise else after
            yield _Guest(after=place, cell=_earlier(cell), exercise=exercise, is_earlier=True)


def _filled(cell: NotebookNode, own: NotebookNode | None) -> NotebookNode:
    """The new starter's cell, with what the learner wrote in it and what it showed."""
    if own is None:
        return cell
    if _text(own) != _text(cell):
        return nbformat.from_dict({**own, "id": cell.id})
    shown = {key: own[key] for key in ("outputs", "execution_count") if key in own}
    return nbformat.from_dict({**cell, **shown})


def _text(cell: NotebookNode) -> tuple[str, str]:
    """What makes two cells the same; how long an answer is said to be does not count."""
    return cell.cell_type, LENGTH.sub("# TODO", cell.source).rstrip()


def _earlier(cell: NotebookNode) -> NotebookNode:
    if cell.cell_type != "code":
        return new_markdown_cell(f"{EARLIER}\n\n{cell.source}")
    return new_markdown_cell(f"{EARLIER}\n\n````python\n{cell.source}\n````")


def _with_new_id(cell: NotebookNode) -> NotebookNode:
    return nbformat.from_dict({**cell, "id": (new_code_cell() if cell.cell_type == "code" else new_markdown_cell()).id})
