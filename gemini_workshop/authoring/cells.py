"""The cells of a lesson source, the answers in them and the gaps that the starter shows instead.

Lines from ``# SOLUTION`` to ``# END SOLUTION`` inside a code cell are an answer. The solution notebook drops the two
marker lines; the starter keeps the numbered steps of the region and leaves the rest to the learner.
"""

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from gemini_workshop.errors import WorkshopError

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
    """One ``softmax = check("02.1", softmax)``, and the index of its line in the cell.

    Args:
        keeps: whether the result gets the function's name; lesson 00 shows attempts that do not.
    """

    exercise_id: str
    function: str
    line: int
    keeps: bool


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
        nodes = list(ast.walk(self.tree)) if self.kind == "code" else []
        kept = {id(node.value): ast.unparse(node.targets[0]) for node in nodes if isinstance(node, ast.Assign)}
        for node in nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check":
                match node.args:
                    case [ast.Constant(value=str(exercise_id)), ast.Name(id=function)]:
                        keeps, line = kept.get(id(node)) == function, node.lineno - 1
                        calls.append(CheckCall(exercise_id=exercise_id, function=function, line=line, keeps=keeps))
                    case _:
                        raise self.error(node.lineno - 1, 'write check("02.1", name), with the id and a name.')
        return tuple(calls)

    def error(self, index: int, message: str) -> SourceError:
        """The error at the line of that index within the cell."""
        return SourceError(message, self.path, self.line + index)

    @property
    def has_expectation(self) -> bool:
        """Whether the starter shows what this cell shows: it was asked for, or there are sliders to be seen at rest."""
        return "expected" in self.tags or (self.kind == "code" and "\nexplore(" in self.text)

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


def is_code(line: str) -> bool:
    """Whether a line holds more than a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")
