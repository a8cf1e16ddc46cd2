"""A lesson source: one jupytext percent file, read into its header and its cells."""

import ast
import io
import re
import tokenize
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import jupytext
import nbformat

from gemini_workshop.authoring.cells import Cell, CheckCall, Flavour, Region, SourceError
from gemini_workshop.errors import WorkshopError, unknown_name
from gemini_workshop.exercises.core.catalogue import all_exercises

EXERCISE_HEADING = re.compile(r"^### Exercise (\d\d\.\d+) .*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the ``workshop:`` mapping in a source's YAML header says.

    Args:
        part: the folder below ``notebooks/``; empty for lessons at its top.
        kind: a starter and a solution, or one notebook that is built like a solution.
        minutes: what a learner needs.
        budget_seconds: what the whole notebook may take to run.
        budget_megabytes: the most memory that its kernel may use.
        requires: ids of the lessons to do before.
    """

    lesson: str
    title: str
    part: str
    kind: Literal["pair", "single"]
    minutes: int
    budget_seconds: int
    budget_megabytes: int = 1500
    requires: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("pair", "single"):
            raise WorkshopError(unknown_name("kind of lesson", self.kind, ["pair", "single"]))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Header":
        """Read the mapping; unknown and missing keys are errors that name them."""
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise WorkshopError(unknown_name("key in the header called", key, known))
        if missing := [key for key in known[:6] if key not in values]:
            raise WorkshopError(f"the header's workshop: mapping lacks {', '.join(missing)}.")
        return cls(**values | {"requires": tuple(values.get("requires", ()))})


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One lesson source, read."""

    path: Path
    header: Header
    cells: tuple[Cell, ...]

    @property
    def id(self) -> str:
        """The lesson's two digits."""
        return self.header.lesson

    @property
    def files(self) -> dict[Flavour, str]:
        """The notebooks of this lesson, as paths below ``notebooks/``."""
        folder = f"{self.header.part}/" if self.header.part else ""
        if self.header.kind == "single":
            return {"solution": f"{folder}{self.path.stem}.ipynb"}
        return {
            "solution": f"{folder}{self.path.stem}_solution.ipynb",
            "starter": f"{folder}{self.path.stem}_starter.ipynb",
        }

    @property
    def checks(self) -> list[CheckCall]:
        """Every check call of the lesson, in order."""
        return [call for cell in self.cells for call in cell.checks]

    def exercise_of(self, cell: Cell, region: Region) -> str:
        """The id of the exercise that a region belongs to: the one that the next check cell checks."""
        following = self.cells[self.cells.index(cell) + 1 :]
        calls = next((later.checks for later in following if later.checks), ())
        named = [call for call in calls if call.function == region.name.split(".")[0]]
        return (named or calls)[0].exercise_id if calls else ""

    def text(self, cell: Cell, flavour: Flavour) -> str:
        """What a cell reads in the starter or in the solution."""
        lines, written, done = cell.text.splitlines(), [], 0
        for region in cell.regions if cell.kind == "code" else ():
            answer = list(region.lines) if flavour == "solution" else region.gap(self.exercise_of(cell, region))
            written += [*lines[done : region.first], *answer]
            done = region.last + 1
        text = "\n".join([*written, *lines[done:]])
        return with_levels(text) if cell.kind == "markdown" else text


def with_levels(text: str) -> str:
    """Markdown in which the heading of each exercise is followed by its difficulty and importance."""
    known = all_exercises()
    return EXERCISE_HEADING.sub(
        lambda heading: f"{heading[0]}\n\n*{exercise.levels}*" if (exercise := known.get(heading[1])) else heading[0],
        text,
    )


def find_sources(notebooks: Path, lesson_ids: list[str] | None = None) -> list[Path]:
    """The lesson sources below a notebooks folder, in order; all of them where no ids are given.

    Raises:
        WorkshopError: an id belongs to no source.
    """
    found = {path.name[:2]: path for path in sorted((notebooks / "sources").glob("[0-9][0-9]_*.py"))}
    for lesson_id in lesson_ids or ():
        if lesson_id not in found:
            raise WorkshopError(unknown_name("lesson", lesson_id, found))
    return [path for lesson_id, path in found.items() if not lesson_ids or lesson_id in lesson_ids]


def read_lesson(path: Path) -> Lesson:
    """Read a source file.

    Raises:
        SourceError: it is not Python, its header is incomplete, or text stands before the first cell.
    """
    text = path.read_text("utf-8")
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise SourceError(f"not plain Python: {error.msg}.", path, error.lineno or 1) from None
    notebook = jupytext.reads(text, fmt="py:percent")
    try:
        header = Header.from_dict(notebook.metadata.get("workshop", {}))
    except WorkshopError as error:
        raise SourceError(str(error), path, 1) from None
    if path.name[:3] != f"{header.lesson}_":
        raise SourceError(f"the header says lesson {header.lesson!r}; the file's name must begin so.", path, 1)
    markers = _marker_lines(text)
    if len(markers) != len(notebook.cells):
        raise SourceError("every cell must begin with a line `# %%`.", path, 1)
    cells = [
        _cell(path, header.lesson, i, cell, line)
        for i, (cell, line) in enumerate(zip(notebook.cells, markers, strict=True))
    ]
    return Lesson(path=path, header=header, cells=tuple(cells))


def _cell(path: Path, lesson_id: str, position: int, cell: nbformat.NotebookNode, marker_line: int) -> Cell:
    if cell.cell_type not in ("code", "markdown"):
        raise SourceError(f"a {cell.cell_type} cell; only code and markdown cells are used.", path, marker_line)
    return Cell(
        id=f"{lesson_id}-{position:03d}",
        kind=cell.cell_type,
        text=cell.source,
        tags=frozenset(cell.metadata.get("tags", ())),
        path=path,
        line=marker_line + 1,
    )


def _marker_lines(text: str) -> list[int]:
    """The lines with a real ``# %%``: a comment, not part of a string."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [
        token.start[0]
        for token in tokens
        if token.type == tokenize.COMMENT and token.start[1] == 0 and token.string.startswith("# %%")
    ]
