"""Find the source of what a learner wrote: in the cell that defined it, however it was defined."""

import ast
import inspect
import linecache
import symtable
import sys
from types import CodeType, FunctionType
from typing import Any

from gemini_workshop.exercises.core.crash import is_cell, is_library

Definition = ast.FunctionDef | ast.ClassDef


def source_of(value: FunctionType | type, with_decorators: bool = False) -> str | None:
    """A definition as statements (a lambda: as an expression) that can stand at the top of a file; None if not found.

    An indented definition keeps its indentation, below ``if True:``: no line of it may move, for it may hold text.
    """
    if isinstance(value, type):
        return _class_source(value)
    code = value.__code__
    if code.co_name == "<lambda>":
        return _lambda_source(code)
    same = (
        node for node in _definitions(code.co_filename, ast.FunctionDef) if _first_line(node) == code.co_firstlineno
    )
    node = next((node for node in same if node.name == code.co_name), None)
    return _text(code.co_filename, node, with_decorators) if node else None


def assignment_of(name: str, filename: str) -> str | None:
    """The last statement ``name = ...`` of a notebook (or of that file) that calls nothing, and so can be repeated."""
    cells = [file for file in linecache.cache if is_cell(file)] if is_cell(filename) else [filename]
    for file in reversed(cells):
        for node in reversed(_tree(file).body):
            if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
                is_plain = not any(isinstance(inner, ast.Call | ast.Await) for inner in _evaluated(node.value))
                text = ast.get_source_segment("".join(linecache.getlines(file)), node)
                return f"{text}\n" if is_plain else None
    return None


def free_names(source: str) -> list[str]:
    """What a source text takes from the module around it: neither its parameters and locals, nor what it defines."""
    names: set[str] = set()

    def visit(table: symtable.SymbolTable) -> None:
        for symbol in table.get_symbols():
            is_outer = symbol.is_global() if table.get_type() != "module" else not symbol.is_assigned()
            if is_outer and (symbol.is_referenced() or symbol.is_declared_global()):
                names.add(symbol.get_name())
        for child in table.get_children():
            visit(child)

    visit(symtable.symtable(source, "answer", "exec"))
    return sorted(names)


def names_in_reach(value: FunctionType | type) -> dict[str, Any]:
    """What the free names of a definition mean to it."""
    functions = _methods(value) if isinstance(value, type) else [value]
    module = sys.modules.get(value.__module__)
    known: dict[str, Any] = dict(vars(module)) if module and not functions else {}
    for function in functions:
        known |= function.__globals__
    for function in functions:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if name != "__class__":
                known[name] = _content(cell, known.get(name))
    return known


def _content(cell: Any, default: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # still empty
        return default


def _class_source(cls: type) -> str | None:
    methods = _methods(cls)
    if methods:
        file, line = methods[0].__code__.co_filename, methods[0].__code__.co_firstlineno
        inside = [node for node in _classes(cls, file) if node.lineno <= line <= (node.end_lineno or 0)]
        return _text(file, inside[-1], True) if inside else None
    module = getattr(sys.modules.get(cls.__module__), "__file__", None)
    files = [module] if module else [file for file in reversed(linecache.cache) if is_cell(file)]
    found = ((file, node) for file in files for node in reversed(_classes(cls, file)))
    return next((_text(file, node, True) for file, node in found), None)


def _classes(cls: type, file: str) -> list[ast.ClassDef]:
    return [node for node in _definitions(file, ast.ClassDef) if node.name == cls.__name__]


def _methods(cls: type) -> list[FunctionType]:
    """The functions that a learner wrote in a class, those of its properties and decorated ones included."""
    raw = [getattr(value, "fget", None) or getattr(value, "__func__", None) or value for value in vars(cls).values()]
    plain = [inspect.unwrap(value) for value in raw if callable(value)]
    return [value for value in plain if isinstance(value, FunctionType) and not is_library(value.__code__.co_filename)]


def _lambda_source(code: CodeType) -> str | None:
    """The lambda among those of a cell that spans the positions that its code knows."""
    spots = [(line, column) for line, _, column, _ in code.co_positions() if line and column is not None]
    lambdas = [node for node in ast.walk(_tree(code.co_filename)) if isinstance(node, ast.Lambda)]
    lambdas = [node for node in lambdas if node.lineno == code.co_firstlineno]

    def fit(node: ast.Lambda) -> tuple[int, int]:
        return sum(_is_inside(spot, node) for spot in spots), -len(ast.unparse(node))

    best = max(lambdas, key=fit, default=None)
    return ast.get_source_segment("".join(linecache.getlines(code.co_filename)), best) if best else None


def _is_inside(spot: tuple[int, int], node: ast.Lambda) -> bool:
    return (node.lineno, node.col_offset) <= spot <= (node.end_lineno or 0, node.end_col_offset or 0)


def _definitions(file: str, kind: type) -> list[Any]:
    return [node for node in ast.walk(_tree(file)) if isinstance(node, kind)]


def _tree(file: str) -> ast.Module:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _first_line(node: Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _text(file: str, node: Definition, with_decorators: bool) -> str:
    first = _first_line(node) if with_decorators else node.lineno
    lines = "".join(linecache.getlines(file)[first - 1 : node.end_lineno])
    lines = lines if lines.endswith("\n") else lines + "\n"
    return f"if True:\n{lines}" if node.col_offset else lines


def _evaluated(expression: ast.AST) -> list[ast.AST]:
    """The parts of an expression that run when it does: what is inside a lambda does not."""
    if isinstance(expression, ast.Lambda):
        return []
    return [expression, *(inner for child in ast.iter_child_nodes(expression) for inner in _evaluated(child))]
