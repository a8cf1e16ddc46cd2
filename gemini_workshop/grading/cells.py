"""The code of a notebook as it runs, whichever editor saved it: without magics, parsed cell by cell."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

LONGEST_CELL = 100_000  # characters: no answer is nearly as long, and parsing takes memory
TRANSPARENT_MAGICS = ("time", "timeit", "capture", "prun")
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
_DEFINED = re.compile(r"^(?:async\s+def|def|class)\s+(\w+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of code.

    Args:
        place: in the notebook, from 0, text cells counted too.
        source: with magics replaced line by line, so that numbers of lines are the learner's.
        tree: its statements; empty if it cannot be parsed.
        problem: why it cannot be parsed, as lines for its author; otherwise empty.
        shown: what its stored outputs say.
    """

    place: int
    id: str
    source: str
    tree: ast.Module
    problem: tuple[str, ...] = ()
    shown: str = ""

    @property
    def filename(self) -> str:
        """What Python calls this cell: the checks take such a name for one of a notebook."""
        return f"<ipython-input-{self.place}-graded>"

    @property
    def broken_names(self) -> list[str]:
        """What a cell that cannot be parsed was to define."""
        return _DEFINED.findall(self.source) if self.problem else []


def code_cells(notebook: NotebookNode) -> list[Cell]:
    """Every cell of code, in order."""
    return [_cell(place, cell) for place, cell in enumerate(notebook.cells) if cell.get("cell_type") == "code"]


def checks_in(cell: Cell) -> Iterator[tuple[str, ast.Call]]:
    """Each call of ``check`` in a cell, with the exercise's id."""
    for node in ast.walk(cell.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value.zfill(4), node


def _cell(place: int, cell: NotebookNode) -> Cell:
    source, tree = _text(cell.get("source", "")), ast.Module([], [])
    problem: tuple[str, ...] = ()
    if len(source) > LONGEST_CELL:
        return Cell(
            place=place,
            id="",
            source=source[:LONGEST_CELL],
            tree=tree,
            problem=(f"This cell has {len(source):,} characters; up to {LONGEST_CELL:,} are read.",),
        )
    source = without_magics(source)
    try:
        tree = ast.parse(source)
    except UNPARSABLE as error:
        problem = _says(error, source)
    return Cell(
        place=place, id=_text(cell.get("id", "")), source=source, tree=tree, problem=problem, shown=_shown(cell)
    )


def without_magics(source: str) -> str:
    r"""Code in which ``%`` and ``!`` are calls, line by line, and a cell of another language is empty.

    Example:
        >>> without_magics("%%time\nx = 1\n")
        '\nx = 1\n'
    """
    first, _, rest = source.lstrip().partition("\n")
    if first.startswith("%%"):
        name = first[2:].split(maxsplit=1)[0] if first[2:].strip() else ""
        above = source[: len(source) - len(source.lstrip())]
        return f"{above}\n{without_magics(rest)}" if name in TRANSPARENT_MAGICS else ""
    try:
        return TransformerManager().transform_cell(source) if source.strip() else ""
    except UNPARSABLE:
        return source


def _says(error: BaseException, source: str) -> tuple[str, ...]:
    if not isinstance(error, SyntaxError) or error.lineno is None:
        return (f"This cell cannot be read as Python ({type(error).__name__}).",)
    lines = source.splitlines()
    line = lines[error.lineno - 1].strip() if 0 < error.lineno <= len(lines) else ""
    return f"Line {error.lineno}: `{line[:200]}`", f"{type(error).__name__}: {error.msg}"


def _shown(cell: NotebookNode) -> str:
    """The plain text of stored outputs, as far as a verdict could be in it."""
    found = []
    for output in cell.get("outputs", []) or []:
        data = output.get("data", {}) if isinstance(output, dict) else {}
        found.append(_text(output.get("text", "")) if isinstance(output, dict) else "")
        found.append(_text(data.get("text/plain", "")) if isinstance(data, dict) else "")
    return "\n".join(text[:2000] for text in found if text)


def _text(value: object) -> str:
    """A text as notebooks store it: whole, or as a list of lines."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value)
