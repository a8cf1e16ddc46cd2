"""Parts of code in a few words that give no line away."""

import ast

SHOWS = {"torch", "nn", "F", "math", "self", "float", "int", "len", "range", "sum"}


def said(node: ast.AST) -> str:
    """A node in a few words: a name as it is, a larger part by the names in it."""
    if isinstance(node, ast.Name):
        return f"`{node.id}`"
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return f"`self.{node.attr}`"
    if isinstance(node, ast.Constant):
        return f"`{node.value!r}`"
    found = (named(each) for each in ast.walk(node))
    names = list(dict.fromkeys(name for name in found if name))[:3]
    return f"the part with {' and '.join(f'`{name}`' for name in names)}" if names else "a number"


def named(node: ast.AST) -> str | None:
    """The name of an argument, a local or what is kept in self; None for anything else."""
    if isinstance(node, ast.Name) and node.id not in SHOWS:
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return f"self.{node.attr}"
    return None
