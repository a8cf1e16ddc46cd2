"""Reading a learner's notebook, and which exercise a cell of it is about."""

import re
import warnings
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from gemini_workshop.errors import WorkshopError

CHECK = re.compile(r'\bcheck\("(\d\d\.\d+)", (\w+)\)')
DEFINITION = re.compile(r"^(?:class|def) (\w+)", re.MULTILINE)


def read_notebook(path: Path) -> NotebookNode:
    """A notebook of a lesson.

    Raises:
        WorkshopError: it cannot be read as one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about cells without ids, which other programs write
            notebook = nbformat.read(path, as_version=4)
        if not all("source" in cell for cell in notebook.cells):
            raise ValueError("a cell without text")
    except Exception as error:  # nbformat raises what its parts raise: KeyError, TypeError, ValidationError
        raise WorkshopError(
            f"{path} cannot be read as a notebook ({type(error).__name__}). For a fresh starter, with this file "
            f"kept beside it: gemini-workshop lesson reset {path.name[:2]}"
        ) from None
    return notebook


def exercises_of(notebook: NotebookNode) -> dict[str, str]:
    """The exercises that a starter checks: their ids by the name of what the learner writes."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return {name: exercise_id for exercise_id, name in CHECK.findall(text)}


def exercise_in(cell: NotebookNode, exercises: dict[str, str]) -> str:
    """The id of the exercise that a cell defines; empty if it defines none."""
    names = DEFINITION.findall(cell.source) if cell.cell_type == "code" else []
    return next((exercises[name] for name in names if name in exercises), "")
