"""Single changes of a right answer's code, each with the words for what went wrong: what :mod:`nearly` tries out.

A change is a node of the syntax tree, what to put in its place, and "It behaves as if ...". The words name arguments,
attributes and steps, and never the line to write.
"""

import ast
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

from gemini_workshop.exercises.core.numerals import of_constant, of_sign
from gemini_workshop.exercises.core.rearranged import at_least, of_attribute, of_branches, of_sequence
from gemini_workshop.exercises.core.said import named, said

Change = tuple[ast.AST, str]
FAMILIES = (
    ("tanh", "sigmoid", "relu", "softmax", "exp", "erf"),
    ("sqrt", "square", "rsqrt"),
    ("square", "abs"),
    ("mean", "sum", "amax", "prod"),
    ("amax", "amin"),
    ("sin", "cos"),
    ("tril", "triu"),
    ("round", "int", "ceil"),
    ("log", "exp"),
    ("strip", "lstrip", "rstrip"),
)
ACTIVATIONS = ("relu", "sigmoid", "tanh", "silu", "gelu", "softmax")
CURVES = {"tanh", "sigmoid", "relu", "softmax", "exp", "erf", "sqrt", "square", "sin", "cos", "abs"}
AXES = (-1, -2, 0, 1, 2)


@dataclass(frozen=True)
class Around:
    """What a function has at hand.

    Args:
        names: its arguments and local names.
        attributes: what the class around it keeps in self.
        curves: calls in it that turn one tensor into another.
    """

    names: list[str]
    attributes: list[str]
    curves: dict[str, ast.Call]


def curves_in(tree: ast.AST) -> dict[str, ast.Call]:
    """Calls such as ``torch.tanh(x)``, ``x.sigmoid()`` and that of an argument, one for each name."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    given = {
        argument.arg for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for argument in node.args.args
    }
    curves = {}
    for node in calls:
        if isinstance(node.func, ast.Attribute) and _is_curve(node.func.attr):
            curves[node.func.attr] = node
        elif isinstance(node.func, ast.Name) and node.func.id in given and len(node.args) == 1:
            curves[node.func.id] = node
    return curves


def _is_curve(name: str) -> bool:
    return name in CURVES or "activation" in name


def changes_of(node: ast.AST, around: Around) -> Iterator[Change]:
    """What could stand in a node's place."""
    if isinstance(node, ast.BinOp):
        yield from _of_operation(node)
    elif isinstance(node, ast.UnaryOp):
        yield from of_sign(node)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Attribute):
        yield from of_attribute(node, around.attributes)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in around.names:
        yield from _of_name(node, around)
    elif isinstance(node, ast.Tuple | ast.List) and 2 <= len(node.elts) <= 4:
        yield from of_sequence(node)
    elif isinstance(node, ast.IfExp):
        yield node.body, f"the condition with {said(node.test)} always held"
        yield node.orelse, f"the condition with {said(node.test)} never held"
    elif isinstance(node, ast.If):
        yield from of_branches(node)
    elif isinstance(node, ast.Expr | ast.AugAssign):
        yield ast.Pass(), f"{said(node)} were left out"
    elif isinstance(node, ast.Return) and node.value is not None:
        for name, call in around.curves.items():
            yield ast.Return(_applied(call, node.value)), f"`{name}` were also applied to the result"
    elif isinstance(node, ast.Constant):
        yield from of_constant(node)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        yield node.value, f"all of {said(node.value)} were taken, and not a part of it"


def _of_name(node: ast.Name, around: Around) -> Iterator[Change]:
    for other in around.names:
        if other != node.id:
            yield ast.Name(other, ast.Load()), f"`{other}` stood in a place of `{node.id}`"
    if node.id == "eps":
        yield ast.BinOp(node, ast.Pow(), ast.Constant(2)), "`eps` were squared"
        for number in (1e-5, 1e-6, 1e-8, 0.0):
            yield ast.Constant(number), f"`eps` were always {number:g}, whatever is passed"
    if node.id == "mask":
        turned = ast.IfExp(ast.Compare(node, [ast.Is()], [ast.Constant(None)]), node, ast.UnaryOp(ast.Invert(), node))
        yield turned, "True and False in `mask` changed places"
    for name, call in around.curves.items():
        yield _applied(call, node), f"`{name}` were also applied to `{node.id}`"


def _applied(call: ast.Call, node: ast.expr) -> ast.Call:
    """The function of a call, called with something else."""
    func = call.func
    if call.args and not _is_method_along_axes(call):
        return _copied(call, args=[node, *call.args[1:]])
    assert isinstance(func, ast.Attribute)
    return _copied(call, func=ast.Attribute(node, func.attr, ast.Load()))


def _of_operation(node: ast.BinOp) -> Iterator[Change]:
    left, right, kind = node.left, node.right, type(node.op)
    a, b = said(left), said(right)
    if kind is ast.Add:
        yield left, f"{b} were left out of the sum"
        yield right, f"{a} were left out of the sum"
        yield _with(node, ast.Sub()), f"{b} were subtracted and not added"
        yield ast.BinOp(right, ast.Sub(), left), f"{a} were subtracted and not added"
        yield _with(node, ast.Mult()), f"{a} and {b} were multiplied and not added"
        yield ast.BinOp(left, ast.Add(), ast.BinOp(ast.Constant(2), ast.Mult(), right)), f"{b} were added twice"
        yield ast.BinOp(node, ast.Div(), ast.Constant(2)), f"the mean of {a} and {b} were taken and not their sum"
        yield at_least(left, right), f"the larger of {a} and {b} were taken and not their sum"
        yield from _moved_out(node, "sum")
    elif kind is ast.Sub:
        yield left, f"{b} were not subtracted"
        yield _with(node, ast.Add()), f"{b} were added and not subtracted"
        yield ast.BinOp(right, ast.Sub(), left), f"{a} and {b} changed places in the difference"
    elif kind is ast.Mult:
        yield left, f"{b} were left out of the product"
        yield right, f"{a} were left out of the product"
        yield _with(node, ast.Add()), f"{a} and {b} were added and not multiplied"
        yield _with(node, ast.Sub()), f"{b} were subtracted and not multiplied with"
        yield _with(node, ast.Div()), f"{a} were divided by {b} and not multiplied with it"
        for one, other, words in ((left, right, b), (right, left, a)):
            yield ast.BinOp(one, ast.Mult(), ast.BinOp(ast.Constant(1), ast.Add(), other)), f"1 were added to {words}"
        yield from _moved_out(node, "product")
    elif kind in (ast.Div, ast.FloorDiv):
        if kind is ast.Div:
            yield _with(node, ast.FloorDiv()), f"the fraction of {a} and {b} were rounded down (`//`)"
        yield left, f"nothing were divided by {b}"
        yield _with(node, ast.Mult()), f"{a} were multiplied with {b} and not divided by it"
        yield ast.BinOp(right, node.op, left), f"the fraction of {a} and {b} were upside down"
    elif kind is ast.MatMult:
        yield ast.BinOp(right, node.op, left), f"{a} and {b} changed places in the product"
    elif kind is ast.Pow:
        yield left, f"the power of {a} were left out"
        yield ast.BinOp(left, ast.Mult(), right), f"{a} were multiplied with {b} and not raised to it"
        yield ast.BinOp(left, node.op, ast.UnaryOp(ast.USub(), right)), f"the exponent {b} had the opposite sign"


def _moved_out(node: ast.BinOp, whole: str) -> Iterator[Change]:
    """f(a) + b as f(a + b)."""
    for one, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(one, ast.Call) and (inner := _only_input(one)) is not None:
            words = f"{_name_of(one)} were applied to the whole {whole} and not to one of its parts"
            yield _applied(one, ast.BinOp(inner, node.op, other)), words
            words = f"{_name_of(one)} were applied to {said(other)} and not to {said(inner)}"
            yield _applied(one, other), words


def _shared_out(node: ast.Call) -> Iterator[Change]:
    """f(a + b) as f(a) + f(b)."""
    inner = _only_input(node)
    if not isinstance(inner, ast.BinOp):
        return
    parts = ast.BinOp(_of_part(node, inner.left), inner.op, _of_part(node, inner.right))
    yield parts, f"{_name_of(node)} were applied to {said(inner.left)} and {said(inner.right)} one by one"
    if isinstance(inner.op, ast.Add) and isinstance(inner.left, ast.BinOp) and isinstance(inner.left.op, ast.Add):
        first, rest = inner.left.left, ast.BinOp(inner.left.right, ast.Add(), inner.right)
        parts = ast.BinOp(_applied(node, first), ast.Add(), _applied(node, rest))
        yield parts, f"{_name_of(node)} were applied to {said(first)} and {said(rest)} one by one"


def _of_part(node: ast.Call, part: ast.expr) -> ast.expr:
    """The same function of a part, which for a root may be a number that has no methods."""
    return ast.BinOp(part, ast.Pow(), ast.Constant(0.5)) if _name_of(node) == "`sqrt`" else _applied(node, part)


def _only_input(node: ast.Call) -> ast.expr | None:
    """What a function of one tensor is called with: f(x), or x.f()."""
    if _is_method_along_axes(node):
        return node.func.value  # type: ignore[attr-defined]
    if len(node.args) == 1 and not isinstance(node.args[0], ast.GeneratorExp | ast.Constant):
        return node.args[0]
    is_method = isinstance(node.func, ast.Attribute) and named(node.func) is None and not node.args
    return node.func.value if is_method else None  # type: ignore[attr-defined]


def _is_method_along_axes(node: ast.Call) -> bool:
    """Such as ``x.softmax(-1)``: its argument is an axis, and what it is applied to comes before the dot."""
    is_method = isinstance(node.func, ast.Attribute) and named(node.func) is None
    return is_method and bool(node.args) and all(_whole_number(each) is not None for each in node.args)


def _name_of(node: ast.Call) -> str:
    if named(node.func):
        return said(node.func)
    return f"`{node.func.attr}`" if isinstance(node.func, ast.Attribute) else f"`{getattr(node.func, 'id', '')}`"


def _with(node: ast.BinOp, operator: ast.operator) -> ast.BinOp:
    return ast.BinOp(node.left, operator, node.right)


def _of_call(node: ast.Call) -> Iterator[Change]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    yield from _without_call(node, name)
    yield from _shared_out(node)
    if "activation" in name:
        for other in ACTIVATIONS:
            yield _activation(other, node.args), f"`{other}` were used where {_name_of(node)} is needed"
    if _is_curve(name) and (inner := _only_input(node)) is not None:
        for other in ACTIVATIONS:
            before = _applied(node, _activation(other, [inner]))
            yield before, f"`{other}` were applied before {_name_of(node)}"
        more = ast.BinOp(inner, ast.Add(), ast.Constant(1))
        yield _applied(node, more), f"1 were added to what {_name_of(node)} is applied to"
    for family in FAMILIES:
        for other in family if name in family else ():
            if other != name:
                yield _renamed(node, other), f"`{other}` were used where `{name}` is needed"
    for i, keyword in enumerate(node.keywords):
        rest = [*node.keywords[:i], *node.keywords[i + 1 :]]
        yield _copied(node, keywords=rest), f"`{keyword.arg}=` were left out of `{name}`"
        if keyword.arg in ("dim", "axis"):
            for axis in AXES:
                changed = ast.keyword(keyword.arg, ast.Constant(axis))
                yield _copied(node, keywords=[*rest, changed]), f"`{name}` ran over axis {axis}"
        if keyword.arg == "bias":
            for value in (True, False):
                yield _copied(node, keywords=[*rest, ast.keyword("bias", ast.Constant(value))]), f"bias were {value}"
    for i, argument in enumerate(node.args):
        if (number := _whole_number(argument)) is not None:
            for axis in dict.fromkeys([*AXES, number + 1, number - 1]):
                args = [*node.args[:i], ast.Constant(axis), *node.args[i + 1 :]]
                if axis != number:
                    yield _copied(node, args=args), f"`{name}` were given {axis} and not {number}"
    if len(node.args) >= 2:
        for i in range(len(node.args) - 1):
            order = [*node.args]
            order[i], order[i + 1] = order[i + 1], order[i]
            yield _copied(node, args=order), f"{said(node.args[i])} and {said(node.args[i + 1])} changed places"


def _activation(name: str, args: list[ast.expr]) -> ast.Call:
    """A call of one of PyTorch's activations."""
    function = ast.Attribute(ast.parse("torch.nn.functional", mode="eval").body, name, ast.Load())
    return ast.Call(function, args, [ast.keyword("dim", ast.Constant(-1))] if name == "softmax" else [])


def _whole_number(node: ast.AST) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -node.operand.value if isinstance(node.operand.value, int) else None
    is_number = isinstance(node, ast.Constant) and type(node.value) is int
    return node.value if is_number else None  # type: ignore[attr-defined]


def _without_call(node: ast.Call, name: str) -> Iterator[Change]:
    """What went in, in place of what comes out."""
    if len(node.args) == 1 and not isinstance(node.args[0], ast.GeneratorExp):
        words = _name_of(node)
        yield node.args[0], f"{words} were left out"
        yield _copied(node, args=[node]), f"{words} were applied twice"
    if isinstance(node.func, ast.Attribute) and named(node.func) is None:
        yield node.func.value, f"`{name}` were left out"


def _renamed(node: ast.Call, name: str) -> ast.Call:
    """The same call of another function; those that are not torch's are Python's own, or from ``math``."""
    if name == "ceil" or not isinstance(node.func, ast.Attribute):
        math_or_python = "math.ceil" if name == "ceil" else name
        return ast.Call(ast.parse(math_or_python, mode="eval").body, node.args, [])
    keywords, args, owner = node.keywords, node.args, node.func.value
    if node.func.attr == "softmax":
        keywords, args = [], [each for each in args if _whole_number(each) is None]
    if name == "softmax" and not args and not keywords:
        keywords = [ast.keyword("dim", ast.Constant(-1))]
    if name == "softmax" and isinstance(owner, ast.Name) and owner.id == "torch" and len(args) == 1:
        args = [*args, ast.Constant(-1)]
    return ast.Call(ast.Attribute(owner, name, ast.Load()), args, keywords)


def _copied(node: ast.Call, **fields: object) -> ast.Call:
    changed = copy(node)
    for field, value in fields.items():
        setattr(changed, field, value)
    return changed
