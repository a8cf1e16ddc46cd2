"""For each exercise, the statements of a notebook that its answer needs, and no others.

A notebook is not run from top to bottom: that takes minutes and does whatever its cells say. From the definition of an
answer on, each name that it uses is followed to the statement that gave it its meaning when the check ran, as the
notebook's kernel would have had it. The name of another exercise means the learner's function if that one has passed,
else the package's, as in the notebook.
"""

import ast
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from gemini_workshop.exercises.core.exercise import Exercise
from gemini_workshop.exercises.core.sources import free_names
from gemini_workshop.grading.cells import Cell, checks_in

GAP = "NotImplementedError"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a notebook answers to one exercise.

    Args:
        parts: name and text of each cell, with nothing in it but what the answer needs, lines where they were.
        code: the definition itself, as its author wrote it, to be shown.
        first_line: of the code in its cell.
        problem: why there is nothing to run, as lines for its author; otherwise empty.
    """

    exercise: Exercise
    parts: tuple[tuple[str, str], ...] = ()
    code: str = ""
    first_line: int = 1
    problem: tuple[str, ...] = ()
    is_broken: bool = False


@dataclass(frozen=True, eq=False)
class _Statement:
    """A statement at the top of a cell.

    Args:
        binds: the names that it gives a meaning.
        changes: the names whose values it changes: ``table["a"] = 1``, ``Model.forward = forward``.
        at_once: the names that it uses when it runs.
        later: the names that functions in it use when they are called.
    """

    cell: Cell
    node: ast.stmt
    place: int
    binds: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    at_once: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()

    @property
    def is_import(self) -> bool:
        return isinstance(self.node, ast.Import | ast.ImportFrom)


class Notebook:
    """The statements of a notebook, and where each exercise is answered."""

    def __init__(self, cells: list[Cell]) -> None:
        self.cells = cells
        self.statements: list[_Statement] = []
        self.checked_at: dict[str, int] = {}
        for cell in cells:
            for node in cell.tree.body:
                if _is_check(node):
                    self.checked_at |= {each: len(self.statements) for each, _ in checks_in(cell)}
                else:
                    self.statements.append(_statement(cell, node, len(self.statements)))

    def answer(self, exercise: Exercise, stand_ins: dict[str, str]) -> Answer:
        """What it answers to an exercise.

        Args:
            stand_ins: names of other exercises that mean something else than this notebook's definitions: the
                statements that give them their meaning.
        """
        title = exercise.title
        until = self.checked_at.get(exercise.id, len(self.statements))
        definition = self._definition(title, until)
        if definition is None:
            broken = next((cell for cell in self.cells if title in cell.broken_names), None)
            if broken is not None:
                return Answer(exercise=exercise, code=broken.source, problem=broken.problem, is_broken=True)
            return Answer(exercise=exercise, problem=(f"No cell defines `{title}`.",))
        until = max(until, definition.place + 1)
        needed = _Needed(self.statements, until, {name for name in stand_ins if name != title})
        needed.follow(definition)
        first = min([definition.node.lineno, *(each.lineno for each in _decorators(definition.node))])
        lines = definition.cell.source.splitlines()[first - 1 : definition.node.end_lineno]
        head = "\n".join(line for name, line in stand_ins.items() if name in needed.stood_in)
        parts = (("<stand-ins>", head), *_texts(needed.found)) if head else _texts(needed.found)
        return Answer(exercise=exercise, parts=tuple(parts), code="\n".join(lines), first_line=first)

    def _definition(self, title: str, until: int) -> _Statement | None:
        """The last one before the check that is not the starter's gap; else the last one, wherever it is."""
        found = [each for each in self.statements if title in each.binds and not each.is_import]
        written = [each for each in found if not _is_gap(each.node)]
        before = [each for each in written if each.place < until]
        imported = [each for each in self.statements if title in each.binds and each.is_import]
        for candidates in (before, written, found, imported):
            if candidates:
                return candidates[-1]
        return None


@dataclass
class _Needed:
    """Statements that are needed, found one after another."""

    statements: list[_Statement]
    until: int
    stands_in: Container[str]
    found: dict[int, _Statement] = field(default_factory=dict)
    stood_in: set[str] = field(default_factory=set)

    def follow(self, statement: _Statement) -> None:
        """Add a statement and all that it needs."""
        todo = [statement, *(each for each in self.statements if _is_for_all(each.node))]
        while todo:
            each = todo.pop()
            if each.place not in self.found:
                self.found[each.place] = each
                todo += self._needed_by(each)

    def _needed_by(self, statement: _Statement) -> Iterator[_Statement]:
        for name in statement.at_once:
            yield from self._meaning(name, statement.place)
        for name in statement.later:
            yield from self._meaning(name, self.until)
        if not statement.is_import:
            yield from self._changes(statement)

    def _meaning(self, name: str, before: int) -> Iterator[_Statement]:
        if name in self.stands_in:
            self.stood_in.add(name)
            return
        known = [each for each in self.statements if name in each.binds]
        earlier = [each for each in known if each.place < before]
        yield from earlier[-1:] or known[:1]

    def _changes(self, statement: _Statement) -> Iterator[_Statement]:
        for each in self.statements[statement.place + 1 : self.until]:
            if each.changes & statement.binds:
                yield each


def _statement(cell: Cell, node: ast.stmt, place: int) -> _Statement:
    binds, changes = set(_bound(node)), set(_changed(node))
    at_once, later = _used(node)
    if isinstance(node, ast.AugAssign):
        at_once |= binds
    return _Statement(
        cell, node, place, frozenset(binds), frozenset(changes - binds), frozenset(at_once | changes), frozenset(later)
    )


def _bound(node: ast.AST) -> Iterator[str]:
    """The names to which a statement at the top gives a meaning, branches and loops included."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    if not isinstance(node, ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from _bound(child)


def _changed(node: ast.stmt) -> Iterator[str]:
    """The names whose values a statement changes in place."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign | ast.Delete):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        is_setattr = isinstance(call.func, ast.Name) and call.func.id in ("setattr", "delattr")
        targets = call.args[:1] if is_setattr else [call.func]
        if is_setattr and isinstance(call.args[0] if call.args else None, ast.Name):
            yield call.args[0].id  # type: ignore[attr-defined]
    for target in targets:
        if isinstance(target, ast.Attribute | ast.Subscript) and (name := root_of(target)):
            yield name


def root_of(node: ast.AST) -> str:
    """The name at the beginning of ``a.b[c].d``; empty if it begins with something else."""
    inner: ast.AST = node
    while isinstance(inner, ast.Attribute | ast.Subscript):
        inner = inner.value
    return inner.id if isinstance(inner, ast.Name) else ""


def _used(node: ast.stmt) -> tuple[set[str], set[str]]:
    """The names that a statement needs when it runs, and those that functions in it need later."""
    try:
        every = set(free_names(ast.unparse(node)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set(), set()
    at_once: set[str] = set()
    _look(node, at_once)
    return at_once, every - at_once


def _look(node: ast.AST, at_once: set[str]) -> None:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        at_once.add(node.id)
    if isinstance(node, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef):
        outer = [*_decorators(node), *node.args.defaults, *(each for each in node.args.kw_defaults if each)]
        for each in (*outer, *_annotations(node)):
            _look(each, at_once)
        return
    for child in ast.iter_child_nodes(node):
        _look(child, at_once)


def _annotations(node: ast.AST) -> list[ast.expr]:
    if not isinstance(node, FUNCTIONS):
        return []
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    found = [each.annotation for each in every if each is not None and each.annotation is not None]
    return [*found, node.returns] if node.returns is not None else found


def _decorators(node: ast.AST) -> list[ast.expr]:
    return getattr(node, "decorator_list", [])


def _is_check(node: ast.stmt) -> bool:
    """Whether a statement is the notebook's own check, which the grader does in its own way."""
    value = node.value if isinstance(node, ast.Assign | ast.Expr | ast.AnnAssign) else None
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "check"


def _is_for_all(node: ast.stmt) -> bool:
    """Imports that change what every other statement means."""
    if not isinstance(node, ast.ImportFrom):
        return False
    return node.module == "__future__" or any(alias.name == "*" for alias in node.names)


def _is_gap(node: ast.AST) -> bool:
    """Whether a definition is the starter's: a function that ends in ``raise NotImplementedError``."""
    raised = (each.exc for each in ast.walk(node) if isinstance(each, ast.Raise) and each.exc is not None)
    return any(GAP in ast.unparse(each) for each in raised)


def _texts(found: dict[int, _Statement]) -> list[tuple[str, str]]:
    """Each cell with the needed statements at their lines, and empty lines in place of the others."""
    pages: dict[str, list[str]] = {}
    for each in sorted(found.values(), key=lambda each: each.place):
        lines = each.cell.source.splitlines()
        page = pages.setdefault(each.cell.filename, [""] * len(lines))
        first = min([each.node.lineno, *(one.lineno for one in _decorators(each.node))]) - 1
        page[first : each.node.end_lineno] = lines[first : each.node.end_lineno]
    return [(name, "\n".join(page) + "\n") for name, page in pages.items()]
