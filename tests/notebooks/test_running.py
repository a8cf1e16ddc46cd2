"""Every starter, untouched, runs to its end and tells that nothing has been started.

The solutions are run whole, by nbval, within their budgets. A starter computes the same, because each check answers
with the reference; so an experiment that no check needs is stopped in it after a moment that shows that it runs.
"""

import ast
import sys
from collections.abc import Iterator

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from gemini_workshop.authoring import kernel
from gemini_workshop.authoring.source import Lesson
from tests.notebooks.lessons import NOTEBOOKS, PAIRS, committed, name, verdicts

STOPS = """
import signal

class EnoughError(BaseException):
    pass

def stop(_, frame):
    while frame is not None:
        if "importlib" in frame.f_code.co_filename:
            return  # half a module would stay behind
        frame = frame.f_back
    raise EnoughError

def a_moment(seconds=2.0):
    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)  # again: some code swallows every error

def over():
    signal.setitimer(signal.ITIMER_PROF, 0.0)
"""
FOR_A_MOMENT = "try:\n    a_moment()\nfinally:\n    over()"
CHANGES = {"append", "extend", "update", "add", "load_state_dict", "fill_", "setdefault", "insert"}
"""Methods after which what a name stands for is another, or holds more."""


SCOPES = ast.FunctionDef | ast.Lambda | ast.ClassDef | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Names = tuple[set[str], set[str]]


def read_and_written(code: str) -> Names:
    """The names that a cell needs from others, and those that it makes or changes."""
    read: set[str] = set()
    written: set[str] = set()
    for statement in ast.parse(code).body:
        needs, makes = _names(statement)
        loops = _names(statement.target)[1] if isinstance(statement, ast.For) else set()
        read |= needs - written - loops
        written |= makes
    return read, written


def _names(node: ast.AST) -> Names:
    read: set[str] = set()
    written: set[str] = set()
    for child in ast.iter_child_nodes(node):
        needs, makes = _names(child)
        read |= needs
        written |= makes
    match node:
        case ast.Name(ctx=ast.Load()):
            read.add(node.id)
        case ast.Name():
            written.add(node.id)
        case ast.arg():
            written.add(node.arg)
        case ast.alias():
            written.add((node.asname or node.name).partition(".")[0])
        case ast.Subscript(ctx=ast.Store()) | ast.Attribute(ctx=ast.Store()):
            written |= _base(node)
        case ast.Call(func=ast.Attribute(attr=attribute)) if attribute in CHANGES:
            written |= _base(node.func)
        case _ if isinstance(node, SCOPES):
            return read - written, {node.name} if isinstance(node, ast.FunctionDef | ast.ClassDef) else set()
    return read, written


def made_at_once(code: str) -> set[str]:
    """What a cell has made even if it is stopped: what it defines before it computes anything."""
    made: set[str] = set()
    for statement in ast.parse(code).body:
        defines = isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)
        if not defines and any(isinstance(node, ast.Call) for node in ast.walk(statement)):
            break
        made |= _names(statement)[1]
    return made


def _base(node: ast.expr) -> set[str]:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def needed_by_checks(cells: list[NotebookNode]) -> Iterator[str]:
    """The ids of the cells that check something or leave a gap, and of those that these need."""
    needed: set[str] = set()
    for cell in reversed(cells):
        read, written = read_and_written(cell.source)
        if needed & written or "check" in read or "NotImplementedError" in read or "# TODO" in cell.source:
            needed |= read
            yield cell.id


class Moments:
    """Gives every cell that no check needs a moment, and leaves out those that need what a stopped one had not made."""

    def __init__(self, notebook: NotebookNode) -> None:
        self.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        kept = set(needed_by_checks(self.cells))
        self.names = {cell.id: read_and_written(cell.source) for cell in self.cells if cell.id not in kept}
        self.kept_if_stopped = {cell.id: made_at_once(cell.source) for cell in self.cells}
        for cell in self.cells:
            if cell.id in self.names:
                whole = ast.parse(FOR_A_MOMENT)
                whole.body[0].body += ast.parse(cell.source).body
                cell.source = ast.unparse(whole)
                cell.metadata.setdefault("tags", []).append("raises-exception")
        self.stopped: list[str] = []
        self.left_out: list[str] = []
        self.unmade: set[str] = set()

    def look_back(self) -> None:
        """Every error but a stop is one."""
        for cell in self.cells:
            for output in cell.outputs:
                if output.output_type == "error" and cell.id not in self.stopped:
                    assert output.ename == "EnoughError", f"{cell.id}: {output.ename}: {output.evalue}"
                    self.stopped.append(cell.id)
                    self.unmade |= self.names[cell.id][1] - self.kept_if_stopped[cell.id]

    def __call__(self, cell: NotebookNode, **_: object) -> None:
        """Before a cell: is there what it needs?"""
        self.look_back()
        if cell.get("id") in self.names:
            read, written = self.names[cell.id]
            if read & self.unmade:
                cell.metadata.tags.append("nbval-skip")
                self.left_out.append(cell.id)
                self.unmade |= written


@pytest.mark.parametrize("lesson", PAIRS, ids=name)
def test_a_starter_runs_untouched_and_nothing_has_been_started(lesson: Lesson) -> None:
    notebook = committed(lesson, "starter")
    moments = Moments(notebook)
    if sys.platform != "win32":
        notebook.cells.insert(0, new_code_cell(STOPS))
    kernel.run(notebook, (NOTEBOOKS / lesson.files["starter"]).parent, skip="nbval-skip", before_cell=moments)
    moments.look_back()
    print("stopped after a moment:", *moments.stopped)  # pytest -rP shows it
    print("left out:", *moments.left_out)
    found = verdicts(notebook, lesson)
    assert found
    for exercise_id, verdict in found.items():
        assert "not started" in verdict, f"{exercise_id}: {verdict}"
        assert "passed" not in verdict
