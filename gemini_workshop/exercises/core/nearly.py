"""Recognize an answer that is right but for one step: it does on every case what changed right code does.

The right code is the exercise's reference, or the steps that it spells out (``plain``). Its single changes are in
:mod:`gemini_workshop.exercises.core.changes`; they are compiled one by one, as they are tried.
"""

import __future__

import ast
import inspect
import math
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import Any

import torch

from gemini_workshop.exercises.core.changes import Around, changes_of, curves_in
from gemini_workshop.exercises.core.exercise import Exercise, Function, Misconception
from gemini_workshop.exercises.core.inherited import that_calls, with_part
from gemini_workshop.exercises.core.loops import GUARD, counter, guarded
from gemini_workshop.exercises.core.said import said

SKIPS = ("reset_parameters",)
Setter = Callable[[ast.AST], None]


def nearly_right(exercise: Exercise) -> Iterator[Misconception]:
    """Every single change of the right code, and of the smaller exercises' inside it."""
    plain: Function = exercise.plain or exercise.reference
    rights: list[Function] = [plain, exercise.reference] if isinstance(plain, type) else [plain]
    for right in dict.fromkeys(rights):
        yield from _changed(right)
    for part in exercise.parts:
        yield from _changed_inside(part, that_calls(exercise, part.title))


def _changed_inside(part: Exercise, whole: Function) -> Iterator[Misconception]:
    for change in _changed(part.plain or part.reference):
        words = change.says.replace("It behaves as if", f"It behaves as if, inside `{part.title}`,")
        yield Misconception(words, with_part(whole, part.title, change.wrong))


def _changed(right: Callable[..., Any]) -> Iterator[Misconception]:
    """Each change compiled in its place, with everything that the code refers to by name."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(right))))
    except (OSError, TypeError):  # a built-in function, or one that was typed in, has no source to change
        return
    tree = guarded(tree)
    names = {**vars(sys.modules[right.__module__]), "math": math, "torch": torch}
    attributes, curves = list(dict.fromkeys(_own_attributes(tree))), curves_in(tree)
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        function.decorator_list = []
        if function.name in SKIPS:
            continue
        around = Around(_local_names(function), attributes, curves)
        for node, put in _places(function):
            for other, words in changes_of(node, around):
                put(ast.fix_missing_locations(ast.copy_location(other, node)))
                made = _defined(tree, names, right.__name__)
                put(node)
                if made is not None:
                    yield Misconception(f"It behaves as if {words}.", made)
        for body, i in _neighbors(function):
            words = f"{said(body[i])} came after {said(body[i + 1])}"
            body[i], body[i + 1] = body[i + 1], body[i]
            made = _defined(tree, names, right.__name__)
            body[i], body[i + 1] = body[i + 1], body[i]
            if made is not None:
                yield Misconception(f"It behaves as if {words}.", made)
        for one, other in combinations(_arguments(function), 2):
            one.arg, other.arg = other.arg, one.arg
            made = _defined(tree, names, right.__name__)
            one.arg, other.arg = other.arg, one.arg
            if made is not None:
                yield Misconception(f"It behaves as if `{one.arg}` and `{other.arg}` changed places.", made)


def _neighbors(function: ast.FunctionDef) -> Iterator[tuple[list[ast.stmt], int]]:
    """Each pair of steps that follow one another: the list that holds them, and the place of the first."""
    for node in ast.walk(function):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            steps = [each for each in body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
            yield from ((body, body.index(step)) for step in steps[:-1])


def _places(function: ast.FunctionDef) -> list[tuple[ast.AST, Setter]]:
    """Every node of a function's body, and how to put another one there; no signatures, docstrings or errors."""
    return [place for i, each in enumerate(function.body) for place in _inside(each, function.body, i)]


def _inside(node: ast.AST, parent: Any, key: Any) -> Iterator[tuple[ast.AST, Setter]]:
    if isinstance(node, ast.Raise | ast.FunctionDef):
        return
    yield node, partial(_put, parent, key)
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield from _inside(value, node, name)
        for i, child in enumerate(value) if isinstance(value, list) else ():
            if isinstance(child, ast.AST):
                yield from _inside(child, value, i)


def _put(parent: Any, key: Any, other: ast.AST) -> None:
    if isinstance(parent, list):
        parent[key] = other
    else:
        setattr(parent, key, other)


def _arguments(function: ast.FunctionDef) -> list[ast.arg]:
    return [argument for argument in function.args.args if argument.arg != "self"]


def _local_names(function: ast.FunctionDef) -> list[str]:
    names = [argument.arg for argument in _arguments(function)]
    names += [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return list(dict.fromkeys(names))


def _own_attributes(tree: ast.AST) -> Iterator[str]:
    """What the class keeps in self."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            yield node.attr


def _defined(tree: ast.Module, names: dict[str, Any], name: str) -> Any:
    """What the tree defines; None if a change makes no sense."""
    space = {**names, GUARD: counter()}
    try:
        exec(compile(tree, "<nearly>", "exec", flags=__future__.annotations.compiler_flag), space)  # noqa: S102 (our own code)
    except Exception:  # a change may not compile
        return None
    return space[name]
