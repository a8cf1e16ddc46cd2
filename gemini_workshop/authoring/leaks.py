"""Whether a starter gives an answer away: a line of it left anywhere, or a step that is the line to write."""

import ast
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator

from gemini_workshop.authoring.cells import STEP, Cell, Region, SourceError, is_code
from gemini_workshop.authoring.source import Lesson

SHORTEST_CALL = 12  # characters: shorter calls, such as x.float(), are what a hint may say
SHORTEST_PART = 16  # of what a line computes, wherever it is quoted


def leaks(lesson: Lesson, cell: Cell) -> Iterator[SourceError]:
    """Every place of a cell's starter version that holds a part of its answers."""
    for region in cell.regions if cell.kind == "code" else ():
        yield from _lines_left(lesson, cell, region)
        yield from _telling_steps(cell, region)
        yield from _names_left(cell, region)


def _lines_left(lesson: Lesson, cell: Cell, region: Region) -> Iterator[SourceError]:
    """A line of the answer, or what one computes, that the starter shows: before the gap, beside it or after it."""
    answer = {line for line in map(squeezed, _code_of(region)) if len(line) >= SHORTEST_CALL}
    parts = {part for part in map(squeezed, _values(region)) if len(part) >= SHORTEST_PART}
    shown = list(_shown_beside(lesson, cell, region))
    lines = sorted(answer & set(map(squeezed, shown)))
    flat = "\n".join(re.sub(r"\s", "", line) for line in shown)
    for line in lines or sorted(part for part in parts if part in flat)[:1]:
        yield cell.error(region.first, f"the starter shows a line of the answer: {line}")


def _shown_beside(lesson: Lesson, cell: Cell, region: Region) -> Iterator[str]:
    """Every line of the starter but the steps of the gap's own cell, and variants of the class to write."""
    for each in lesson.cells:
        for line in lesson.text(each, "starter").splitlines() if each.belongs_to("starter") else ():
            is_step = each is cell and line.lstrip().startswith("#")
            if not is_step and not _is_variant(each, region):
                yield line


def _is_variant(cell: Cell, region: Region) -> bool:
    """Whether a cell derives a class from the one to write: to change one line of a method, it shows the others."""
    own = region.name.split(".")[0]
    classes = (node for node in cell.tree.body if isinstance(node, ast.ClassDef)) if cell.kind == "code" else ()
    return any(isinstance(base, ast.Name) and base.id == own for node in classes for base in node.bases)


def _code_of(region: Region) -> Iterator[str]:
    return (line for line in region.lines if is_code(line) and _is_code(line.strip()))


def _values(region: Region) -> Iterator[str]:
    """What the statements of an answer compute, without the names that it is given."""
    for node in ast.walk(_tree(region)):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.Return | ast.Expr) and node.value is not None:
            yield ast.unparse(node.value)


def _telling_steps(cell: Cell, region: Region) -> Iterator[SourceError]:
    """A numbered step that is code, or holds a call of the answer."""
    calls = {squeezed(ast.unparse(node)) for node in ast.walk(_tree(region)) if isinstance(node, ast.Call)}
    for i, line in enumerate(region.lines):
        step = STEP.sub("", line)
        if not line.lstrip().startswith("#"):
            continue
        told = [call for call in calls if len(call) >= SHORTEST_CALL and call in squeezed(step)]
        if told or _is_statement(step.lstrip(" #")):
            yield cell.error(region.first + 1 + i, "this step is the line to write. Say what to do, not how.")


def _names_left(cell: Cell, region: Region) -> Iterator[SourceError]:
    """A local variable that the answer uses and the lines outside of it compute: the answer's first line was left."""
    used = {node.id for node in ast.walk(_tree(region)) if isinstance(node, ast.Name)}
    for function in _functions_around(cell, region):
        arguments = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
        for node in ast.walk(function):
            inside = region.first < getattr(node, "lineno", 0) - 1 < region.last
            if not isinstance(node, ast.Assign) or inside or _only_unpacks(node.value, arguments):
                continue
            names = {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            for name in sorted((names & used) - {"self"}):
                yield cell.error(node.lineno - 1, f"the starter computes {name}, a part of the answer.")


def squeezed(line: str) -> str:
    """A line without its spaces and its comment."""
    try:
        tokens = tokenize.generate_tokens(io.StringIO(line.strip()).readline)
        return "".join(token.string for token in tokens if token.type != tokenize.COMMENT and token.string.strip())
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return re.sub(r"\s", "", line)


def _tree(region: Region) -> ast.Module:
    body = textwrap.dedent("\n".join(region.lines))
    return ast.parse("def answer():\n" + textwrap.indent(body, "    "))


def _is_code(line: str) -> bool:
    try:
        return bool(ast.parse(line))
    except SyntaxError:
        return False


def _is_statement(text: str) -> bool:
    return _is_code(text) and isinstance(ast.parse(text).body[0], ast.Assign | ast.AugAssign | ast.Return)


def _functions_around(cell: Cell, region: Region) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(cell.tree):
        if isinstance(node, ast.FunctionDef) and node.lineno - 1 < region.first < (node.end_lineno or 0):
            yield node


def _only_unpacks(value: ast.expr, arguments: set[str]) -> bool:
    """Whether a value is an argument, or some of them: giving them names gives nothing away."""
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    return all(isinstance(part, ast.Name) and part.id in arguments for part in parts)
