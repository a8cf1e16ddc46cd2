"""What was tampered with in a notebook, as far as reading it shows. Nothing here changes a grade.

The grader uses none of a notebook's checks and outputs, so that changing them gains nothing. That somebody tried is
said all the same: to the instructor, who knows whether it was a game.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.grading.answers import root_of
from gemini_workshop.grading.cells import Cell, checks_in, code_cells
from gemini_workshop.grading.grader import Grade
from gemini_workshop.lessons.cells import read_notebook
from gemini_workshop.lessons.folder import copies
from gemini_workshop.paths import notebooks_folder

MEANT_FOR_NOTEBOOKS = {"check", "hint", "quiz", "solution", "own_or", "is_own", "welcome_back"}
LOOKS_AROUND = {
    "getsource": "reads the source of a function",
    "_getframe": "looks into the functions that call it",
    "currentframe": "looks into the functions that call it",
    "get_objects": "searches the memory of Python",
    "get_referrers": "searches the memory of Python",
    "__code__": "reads or changes the code of a function",
}
PASSED = re.compile(rf"(\d\d\.\d+) \w+ · {Outcome.PASSED}")
WORDS = 60


@dataclass(frozen=True, kw_only=True)
class Sign:
    """Something that honest work does not need.

    Args:
        cell, line: where; 0 for a line that is not there.
    """

    text: str
    cell: int
    line: int = 0

    def __str__(self) -> str:
        where = f"cell {self.cell + 1}" + (f", line {self.line}" if self.line else "")
        return f"{self.text} ({where})"


def signs_in(cells: list[Cell], lesson: str, grades: list[Grade]) -> list[Sign]:
    """Everything suspicious in the cells that the starter does not have like that."""
    starter = _starter_cells(lesson)
    given = {" ".join(cell.source.split()) for cell in starter}
    own = [cell for cell in cells if " ".join(cell.source.split()) not in given]
    found = [*_checks_that_differ(cells, starter), *(sign for cell in own for sign in _in_cell(cell, _imported(cells)))]
    found += _outputs_that_differ(cells, {each.exercise.id: each for each in grades})
    return list(dict.fromkeys(found))


def _starter_cells(lesson: str) -> list[Cell]:
    shipped = copies(notebooks_folder()).get(lesson)
    return code_cells(read_notebook(shipped.shipped)) if shipped else []


def _checks_that_differ(cells: list[Cell], starter: list[Cell]) -> Iterator[Sign]:
    """Checks of the starter that are missing, or called with something else."""
    calls = {each: (cell, call) for cell in cells for each, call in checks_in(cell)}
    for cell in starter:
        for exercise_id, call in checks_in(cell):
            found = calls.get(exercise_id)
            if found is None:
                yield Sign(text=f"the check of {exercise_id} is missing or was edited", cell=cell.place)
            elif ast.dump(found[1]) != ast.dump(call):
                text = ast.unparse(found[1])[:WORDS]
                yield Sign(
                    text=f"the check of {exercise_id} was edited: `{text}`", cell=found[0].place, line=found[1].lineno
                )


def _in_cell(cell: Cell, imported: set[str]) -> Iterator[Sign]:
    for node in ast.walk(cell.tree):
        line = getattr(node, "lineno", 0)
        for text in _suspicious(node, imported):
            yield Sign(text=text, cell=cell.place, line=line)


def _suspicious(node: ast.AST, imported: set[str]) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == "check":
        yield "`check` was defined again"
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
        targets = [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else node.targets
        yield from (text for target in targets for text in _changed(target, imported))
    if isinstance(node, ast.Call) and _sets_attribute(node) and root_of(node.args[0]) in imported:
        yield f"changes what was imported: `{ast.unparse(node)[:WORDS]}`"
    if isinstance(node, ast.ImportFrom | ast.Import):
        yield from _imports(node)
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    if name in LOOKS_AROUND:
        yield f"{LOOKS_AROUND[name]}: `{name}`"


def _sets_attribute(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in ("setattr", "delattr") and bool(call.args)


def _changed(target: ast.expr, imported: set[str]) -> Iterator[str]:
    if isinstance(target, ast.Name) and target.id == "check":
        yield "`check` was defined again"
    if isinstance(target, ast.Attribute | ast.Subscript) and root_of(target) in imported:
        yield f"changes what was imported: `{ast.unparse(target)[:WORDS]}`"


def _imports(node: ast.ImportFrom | ast.Import) -> Iterator[str]:
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
    for module in modules:
        if module == "gemini_workshop.exercises" and set(names) <= MEANT_FOR_NOTEBOOKS:
            continue
        if module.startswith(("gemini_workshop.exercises", "gemini_workshop.models", "gemini_workshop.grading")):
            yield f"imports from the package what the lesson does not: `{ast.unparse(node)[:WORDS]}`"


def _imported(cells: list[Cell]) -> set[str]:
    """The names of modules and of what was taken from them."""
    found = set()
    for cell in cells:
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                found |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
    return found


def _outputs_that_differ(cells: list[Cell], grades: dict[str, Grade]) -> Iterator[Sign]:
    """Stored verdicts that say more than the code earns: edited, or left over from other code."""
    for cell in cells:
        for exercise_id in PASSED.findall(cell.shown):
            grade = grades.get(exercise_id)
            if grade is not None and not grade.points:
                yield Sign(text=f"its stored output says that {exercise_id} has passed; it does not", cell=cell.place)
