"""A lesson source: one jupytext percent file, its header, its cells and the gaps in them.

Lines from ``# SOLUTION`` to ``# END SOLUTION`` inside a code cell are the answer. The solution notebook drops the two
marker lines; the starter keeps the numbered steps of the region and leaves the rest to the learner.
"""

import ast
import io
import re
import tokenize
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jupytext
import nbformat

from gemini_workshop.errors import WorkshopError, unknown_name

Flavour = Literal["starter", "solution"]

SOLUTION, END_SOLUTION = "# SOLUTION", "# END SOLUTION"
STEP = re.compile(r"\s*# \d+\. ")


class SourceError(WorkshopError):
    """A lesson source that cannot be read; the message begins with its file and line."""

    def __init__(self, message: str, path: Path, line: int) -> None:
        super().__init__(f"{path.name}:{line}: {message}")
        self.place = (path.name, line)


@dataclass(frozen=True, kw_only=True)
class Region:
    """One answer inside a cell.

    Args:
        first: index of the ``# SOLUTION`` line in the cell; ``last`` is that of ``# END SOLUTION``.
        lines: what stands between them.
        name: the enclosing function (``softmax``) or method (``RMSNorm.forward``); empty outside functions.
    """

    first: int
    last: int
    lines: tuple[str, ...]
    indent: str
    name: str

    def gap(self, exercise_id: str) -> list[str]:
        """What the starter shows instead: how long the answer is, its steps, and where to write."""
        count = sum(is_code(line) for line in self.lines)
        todo = f"{self.indent}# TODO (about {count} line{'s' * (count != 1)})"
        if not self.name:
            return [todo, *self._steps(), f"{self.indent}..."]
        message = f"{exercise_id} {self.name}: your turn".strip()
        return [todo, *self._steps(), f'{self.indent}raise NotImplementedError("{message}")']

    def _steps(self) -> list[str]:
        steps, inside = [], False
        for line in self.lines:
            inside = bool(STEP.match(line)) or (inside and line.lstrip().startswith("#"))
            if inside:
                steps.append(line)
        return steps


@dataclass(frozen=True, kw_only=True)
class CheckCall:
    """One ``check("02.1", softmax)``, and the index of its line in the cell."""

    exercise_id: str
    function: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a source.

    Args:
        id: the same in starter and solution: lesson and position.
        line: the line of the file on which its text begins.
    """

    id: str
    kind: Literal["code", "markdown"]
    text: str
    tags: frozenset[str]
    path: Path
    line: int

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of a code cell."""
        try:
            return ast.parse(self.text)
        except SyntaxError as error:
            raise self.error(
                (error.lineno or 1) - 1, "not plain Python; lessons use no magics or shell lines."
            ) from None

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """The answers in this cell, in order."""
        lines, found, start = self.text.splitlines(), [], None
        for i, line in enumerate(lines):
            if line.strip() == SOLUTION:
                if start is not None:
                    raise self.error(i, f"a second {SOLUTION} before {END_SOLUTION}.")
                start = i
            elif line.strip() == END_SOLUTION:
                if start is None:
                    raise self.error(i, f"{END_SOLUTION} without {SOLUTION} before it.")
                found.append(self._region(lines, start, i))
                start = None
        if start is not None:
            raise self.error(start, f"{SOLUTION} is never closed. Add {END_SOLUTION} after the answer.")
        return tuple(found)

    @cached_property
    def checks(self) -> tuple[CheckCall, ...]:
        """The calls of ``check`` in this cell."""
        calls = []
        for node in ast.walk(self.tree) if self.kind == "code" else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check":
                match node.args:
                    case [ast.Constant(value=str(exercise_id)), ast.Name(id=function)]:
                        calls.append(CheckCall(exercise_id=exercise_id, function=function, line=node.lineno - 1))
                    case _:
                        raise self.error(node.lineno - 1, 'write check("02.1", name), with the id and a name.')
        return tuple(calls)

    def error(self, index: int, message: str) -> SourceError:
        """The error at the line of that index within the cell."""
        return SourceError(message, self.path, self.line + index)

    def belongs_to(self, flavour: Flavour) -> bool:
        """Whether the starter, or the solution, has this cell."""
        other = "solution-only" if flavour == "starter" else "starter-only"
        return other not in self.tags

    def _region(self, lines: list[str], first: int, last: int) -> Region:
        inside = tuple(lines[first + 1 : last])
        code = next((i for i in range(first + 1, last) if is_code(lines[i])), None)
        if code is None:
            raise self.error(first, "the region holds no code.")
        indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
        return Region(first=first, last=last, lines=inside, indent=indent, name=self._enclosing(first, code))

    def _enclosing(self, first: int, code: int) -> str:
        scopes = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.lineno - 1 < first
            and code < (node.end_lineno or 0)
        ]
        scopes.sort(key=lambda node: node.lineno)
        is_in_function = scopes and not isinstance(scopes[-1], ast.ClassDef)
        return ".".join(node.name for node in scopes) if is_in_function else ""


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
        return "\n".join([*written, *lines[done:]])


def is_code(line: str) -> bool:
    """Whether a line holds more than a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


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
