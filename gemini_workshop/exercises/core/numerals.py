"""Changes of the numbers that right code is written with, and of the signs before them."""

import ast
from collections.abc import Iterator

from gemini_workshop.exercises.core.said import said


def of_sign(node: ast.UnaryOp) -> Iterator[tuple[ast.AST, str]]:
    """A sign or a ``~`` left out; for a negative number, such as an axis counted from the end, others in its place."""
    if not (isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)):
        sign = "`~`" if isinstance(node.op, ast.Invert) else "sign"
        yield node.operand, f"the {sign} before {said(node.operand)} were left out"
    elif isinstance(value := node.operand.value, int):
        for other in dict.fromkeys((value, 0, -value - 1, 1 - value, 1, 2)):
            if other != -value:
                yield ast.Constant(other), f"`{other}` stood in the place of `-{value}`"


def of_constant(node: ast.Constant) -> Iterator[tuple[ast.AST, str]]:
    """Other numbers in the place of one."""
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        return
    for other in dict.fromkeys(_other_numbers(node.value)):
        if other != node.value:
            yield ast.Constant(other), f"`{other}` stood in the place of `{node.value}`"


def _other_numbers(value: int | float) -> list[int | float]:
    if isinstance(value, int):
        return [value + 1, value - 1, *((0, 1, 2, -1, -2) if abs(value) <= 3 else (2 * value,))]
    return [2 * value, value / 2, 10 * value, value / 10, 1.0]
