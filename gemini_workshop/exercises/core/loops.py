"""Loops of our own code that end, whatever was changed in them or in the functions that they call."""

import __future__

import ast
import inspect
import textwrap
import types
from collections.abc import Callable
from typing import Any

MOST_ROUNDS = 2_000  # of the loops of changed code, all calls together
GUARD = "_goes_on"


class _Guards(ast.NodeTransformer):
    def visit_While(self, node: ast.While) -> ast.While:
        self.generic_visit(node)
        test = ast.BoolOp(ast.And(), [ast.parse(f"{GUARD}()", mode="eval").body, node.test])
        return ast.copy_location(ast.While(test, node.body, node.orelse), node)


def guarded(tree: ast.Module) -> ast.Module:
    """The same code, whose ``while`` loops ask a counter before each round."""
    return ast.fix_missing_locations(_Guards().visit(tree))


def counter() -> Callable[[], bool]:
    """True as often as a loop may run.

    Raises:
        RuntimeError: when it is asked once more.
    """
    left = iter(range(MOST_ROUNDS))

    def goes_on() -> bool:
        if next(left, None) is None:
            raise RuntimeError("a loop that never ends")
        return True

    return goes_on


def with_names(function: Any, names: dict[str, Any]) -> Any:
    """A function that finds other things under its global names, and whose loops end."""
    function = getattr(function, "__wrapped__", function)
    space = {**function.__globals__, **names}
    if function.__closure__ is None and (tree := _tree(function)) is not None and _loops(tree):
        space[GUARD] = counter()
        exec(compile(guarded(tree), "<guarded>", "exec", flags=__future__.annotations.compiler_flag), space)  # noqa: S102
        return space[function.__name__]
    code, defaults = function.__code__, function.__defaults__
    copy = types.FunctionType(code, space, function.__name__, defaults, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _tree(function: Any) -> ast.Module | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # typed in, or in the middle of an expression
        return None
    return tree if tree.body and isinstance(tree.body[0], ast.FunctionDef) else None


def _loops(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.While) for node in ast.walk(tree))
