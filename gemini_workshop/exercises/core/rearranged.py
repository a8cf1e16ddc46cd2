"""Changes of right code that leave its operations as they are: other attributes, another order, another branch."""

import ast
from collections.abc import Iterator

from gemini_workshop.exercises.core.said import said


def of_attribute(node: ast.Attribute, attributes: list[str]) -> Iterator[tuple[ast.AST, str]]:
    """Not transposed; another thing that is kept in self."""
    if node.attr in ("T", "mT"):
        yield node.value, f"{said(node.value)} were not transposed"
    if isinstance(node.value, ast.Name) and node.value.id == "self" and node.attr in attributes:
        for other in attributes:
            if other != node.attr and isinstance(node.ctx, ast.Load):
                words = f"`self.{other}` were used where `self.{node.attr}` belongs"
                yield ast.Attribute(node.value, other, node.ctx), words


def of_sequence(node: ast.Tuple | ast.List) -> Iterator[tuple[ast.AST, str]]:
    """Two entries exchanged, all of them turned round."""
    elements, kind = node.elts, type(node)
    for i in range(len(elements)):
        for j in range(i + 1, len(elements)):
            order = [*elements]
            order[i], order[j] = order[j], order[i]
            yield kind(order, node.ctx), f"{said(elements[i])} and {said(elements[j])} changed places"
    if len(elements) > 2:
        yield kind(elements[::-1], node.ctx), "the parts came in the opposite order: " + ", ".join(map(said, elements))
        yield kind([*elements[1:], elements[0]], node.ctx), f"{said(elements[0])} came last"
        yield kind([elements[-1], *elements[:-1]], node.ctx), f"{said(elements[-1])} came first"


def at_least(left: ast.expr, right: ast.expr) -> ast.Call:
    """``left`` cut off below at ``right``, which is a number such as eps."""
    return ast.Call(ast.parse("torch.clamp", mode="eval").body, [left], [ast.keyword("min", right)])


def of_branches(node: ast.If) -> Iterator[tuple[ast.AST, str]]:
    """A condition that always holds, or never."""
    if any(isinstance(each, ast.Raise) for each in node.body):
        return
    for value, words in ((True, "always"), (False, "never")):
        yield ast.If(ast.Constant(value), node.body, node.orelse), f"the condition with {said(node.test)} {words} held"
