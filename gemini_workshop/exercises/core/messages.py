"""PyTorch's and Python's errors in the words of a lesson: which product, which axis, which argument."""

import re
import sys
from collections.abc import Callable
from difflib import get_close_matches
from types import TracebackType

from torch import Tensor

from gemini_workshop.exercises.core.plain import message_of

Say = str | Callable[..., str]
EMPTY = " The one of size 0 is empty: a slice without any entry, or a choice of none."


def explained(error: BaseException, names: dict[int, str]) -> str | None:
    """What an error means and what to try.

    Args:
        names: what the sizes of the case are called, such as {6: "D"}.
    """
    text = message_of(error)
    if isinstance(error, NameError):
        return _unknown_name(error)
    for pattern, say in EXPLANATIONS.items():
        if found := re.search(pattern, text):
            words = say if isinstance(say, str) else say(*found.groups())
            return words + ("" if say in WITHOUT_SIZES else _sizes(found.groups(), names)) or None
    return None


def _sizes(groups: tuple[str, ...], names: dict[int, str]) -> str:
    """The names of the sizes that the error mentions."""
    mentioned = [int(number) for group in groups for number in re.findall(r"\d+", group or "")]
    known = [f"{size} is {names[size]}" for size in dict.fromkeys(mentioned) if size in names]
    return f" (Here {', '.join(known)}.)" if known else ""


def _unknown_name(error: NameError) -> str:
    near = get_close_matches(error.name or "", _names_near(error.__traceback__), 1)
    suggestion = f" Did you mean `{near[0]}`?" if near else " Was the cell that defines it run?"
    return f"There is no `{error.name}` here.{suggestion}"


def _names_near(trace: TracebackType | None) -> list[str]:
    names: list[str] = []
    while trace is not None:
        names = list(trace.tb_frame.f_locals)
        trace = trace.tb_next
    return names


def _product(rows: str, inner: str, other: str, columns: str) -> str:
    fits = f" The second one turned round, {columns} x {other}, would fit." if inner == columns != other else ""
    if other == rows != inner and not fits:
        fits = f" The first one turned round, {inner} x {rows}, would fit."
    ask = (
        f"Which of the two has to be transposed?{fits}"
        if fits
        else "Which of the two has a width that you did not expect?"
    )
    return (
        f"A matrix of {rows} x {inner} cannot be multiplied by one of {other} x {columns}: the inner sizes, {inner} "
        f"and {other}, have to be equal. {ask}"
    )


def _sizes_meet(a: str, b: str, axis: str) -> str:
    return (
        f"Two tensors meet whose sizes at axis {axis} are {a} and {b}. They have to be equal, or one of them 1: was an "
        "axis lost (`keepdim=True` keeps it), or are two axes exchanged?" + (EMPTY if "0" in (a, b) else "")
    )


def _batches(first: str, second: str) -> str:
    return (
        f"In this product the second tensor should have the sizes [{first}] in front and has [{second}]. A product "
        "multiplies the last two axes: which of them has to be transposed?"
    )


def _shape(shape: str, size: str) -> str:
    return f"{size} numbers do not fill the shape ({shape}). Which sizes multiply to {size}?"


def _none(attribute: str) -> str:
    return (
        f"Something is None where `.{attribute}` is asked of it: an optional argument that was left out, or the result "
        "of a function without `return`."
    )


def _too_many(expected: str) -> str:
    return f"The value on the right does not have {expected} parts. What does it hold, and in which order?"


def _missing(function: str, names: str) -> str:
    return f"`{function}` is called without {names}. Look at its first line: what comes in which place?"


def _no_attribute(owner: str, attribute: str) -> str:
    if owner != "Tensor" and hasattr(Tensor, attribute) and owner in BUILT_IN:
        return (
            f"Only a tensor has `.{attribute}`, and here is a value of type {owner}: are arguments in another order, "
            "or are there several things in one?"
        )
    if owner == "Tensor":
        return f"A tensor has no `{attribute}`.{_did_you_mean(attribute, dir(Tensor))}"
    if owner in BUILT_IN:  # Python's own words say it: 'list' object has no attribute 'length'
        return ""
    return f"`{owner}` has no `{attribute}`. Is it set under another name, or in a method that has not run?"


def _not_in_module(module: str, attribute: str) -> str:
    return f"`{module}` has no `{attribute}`.{_did_you_mean(attribute, dir(sys.modules.get(module, object)))}"


def _did_you_mean(name: str, names: list[str]) -> str:
    lower = {each.lower(): each for each in names if not each.startswith("_")}
    near = get_close_matches(name.lower(), lower, 1)
    return f" Did you mean `{lower[near[0]]}`?" if near else ""


def _no_arithmetic(kind: str) -> str:
    return f"With a {kind} nothing is computed number by number: make a tensor, with `torch.arange` or `torch.tensor`."


def _no_argument(function: str, name: str) -> str:
    spelled = (
        " Does the class have `__init__`, with two underscores on each side?" if function.endswith("__init__") else ""
    )
    return f"`{function}` has no argument called `{name}`.{spelled}"


def _memory(size: str) -> str:
    return f"That asks for {int(size) / 1e9:,.0f} GB of memory. Which of the sizes grew so large?"


def _axis(highest: str, got: str) -> str:
    axes = "one axis" if highest == "0" else f"{int(highest) + 1} axes"
    return f"The tensor has {axes}, and there is no axis {got}. The last one is -1, however many there are."


BUILT_IN = ("tuple", "list", "dict", "str", "int", "float", "bool", "function", "range")
WITHOUT_SIZES = (_too_many, _axis, _missing, _no_argument, _memory)
IS_NONE = "One side of the operation is None: an optional argument that was left out, or a function without `return`."
EXPLANATIONS: dict[str, Say] = {
    r"shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)": _product,
    r"size mismatch, got .*?mat \((\d+)x(\d+)\), vec \((\d+)\)": lambda r, c, n: _product(r, c, n, "1"),
    r"inconsistent tensor size, expected tensor \[(\d+)\] and src \[(\d+)\]": lambda a, b: _sizes_meet(a, b, "0"),
    r"tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton dimension (\d+)": _sizes_meet,
    r"Expected size for first two dimensions of batch2 tensor to be: \[([\d, ]+)\] but got: \[([\d, ]+)\]": _batches,
    r"shape '\[([-\d, ]+)\]' is invalid for input of size (\d+)": _shape,
    r"view size is not compatible": (
        "After `transpose` or `permute` the numbers no longer lie in memory in this order, so `view` refuses. Use "
        "`reshape` or `flatten`, once the axes are in the right order."
    ),
    r"'NoneType' object has no attribute '(\w+)'": _none,
    r"unsupported operand type\(s\) for .*'NoneType'|bad operand type for unary .*'NoneType'|not NoneType$": IS_NONE,
    r"unsupported operand type\(s\) for .*'(list|range|tuple)'": _no_arithmetic,
    r"builtin_function_or_method": (
        "A method is named and not called: `( )` is missing behind it, or `[ ]` stands where `( )` belongs."
    ),
    r"module '([\w.]+)' has no attribute '(\w+)'": _not_in_module,
    r"'(\w+)' object has no attribute '(\w+)'": _no_attribute,
    r"tried to allocate (\d+) bytes": _memory,
    r"does not match the length of the desired ordering of dimensions": (
        "`permute` names every axis of the tensor once: as many numbers as it has axes."
    ),
    r"stack expects each tensor to be equal size": (
        "Only tensors of one shape can be stacked. Along which axis were these pieces cut?"
    ),
    r"only one dimension can be inferred": "-1 may stand for one size and no more: say the others.",
    r"argument 'tensors' \(position 1\) must be tuple of Tensors": (
        "`cat` and `stack` take one list of tensors: `[ ]` is missing around them."
    ),
    r"number of subscripts in the equation \(\d+\) does not match the number of dimensions": (
        "The letters of `einsum` name every axis. `...` stands for any number of axes in front."
    ),
    r"'Tensor' object is not callable": (
        "A tensor is called like a function: a result was passed where the function itself is needed. Pass the "
        "function (or a lambda), not what it returns."
    ),
    r"'(\w+)' object is not callable": lambda kind: f"A value of type {kind} is called like a function.",
    r"([\w<>]+)\(\) missing \d+ required (?:positional|keyword-only) arguments?: (.*)": _missing,
    r"([\w.]+)\(\) got an unexpected keyword argument '(\w+)'": _no_argument,
    r"(?:too many|not enough) values to unpack \(expected (?:at least )?(\d+)": _too_many,
    r"leaf Variable that requires grad .*in-place": (
        "A parameter or input is changed in place, and its gradient would be lost. Compute a new tensor instead: no "
        "method that ends in `_`, no `+=`."
    ),
    r"modified by an inplace operation": (
        "A tensor that the gradient still needs was changed in place. Compute a new tensor instead: no method that "
        "ends in `_`, no `+=`."
    ),
    r"Dimension out of range \(expected to be in range of \[-?\d+, (\d+)\], but got (-?\d+)\)": _axis,
    r"index (-?\d+) is out of bounds for dimension (\d+) with size (\d+)": lambda i, axis, size: (
        f"There is no entry {i} along axis {axis}: it has {size}, counted from 0."
    ),
    r"IndexError: tuple index out of range": (
        "A tuple has fewer entries than that. Is it a shape? A tensor may have fewer axes than you count on; `[-1]` "
        "and `[-2]` count from its end."
    ),
    r"too many indices for tensor of dimension (\d+)": lambda axes: (
        f"The tensor has {axes} axes, and the index is for more of them. Which shape was it made with?"
    ),
    r"(min|max)\(\) (?:arg is an|iterable argument is) empty": lambda name: (
        f"`{name}` is asked about a list without entries. When does that happen, and what is right then?"
    ),
    r"index out of range": "An index is larger than the table or list has entries. They are counted from 0.",
    r"(?:same dtype|scalar type|to have the same dtype).*?(\w+).*(?:but|and) (?:found|got)?.*?(\w+)": (
        "Two kinds of numbers meet, such as float32 and float64, or whole numbers and fractions. New tensors take "
        "theirs from another with `dtype=x.dtype`."
    ),
    r"Boolean value of Tensor with more than one value": (
        "`if`, `not`, `and`, `or` and Python's own `max` need one True or False and got a tensor of many. To see "
        "whether an argument was given, ask `is not None`; `~mask`, `a & b` and `a | b` work entry by entry. "
        "Comparisons beside `&` and `|` need parentheses: `(a == b) & (c > 0)`."
    ),
    r"bool tensor|[Bb]itwise|operator\.invert|only implemented on integer": (
        "An operation meets a mask of True and False, or is one for masks alone. `~mask` turns a mask of bools round; "
        "arithmetic needs numbers."
    ),
    r"not implemented for '(?:Float|Double|Half|BFloat16)'": (
        "Whole numbers are needed here, and fractions came. Were two results taken in another order than they are "
        "returned in?"
    ),
    r"Sizes of tensors must match except in dimension (\d+)\. Expected size (\d+) but got size (\d+)": lambda d, a, b: (
        f"Tensors that are joined along axis {d} must agree in all others; here {a} and {b} meet."
    ),
    r"Tensors must have same number of dimensions: got (\d+) and (\d+)": lambda a, b: (
        f"A tensor with {a} axes is joined with one of {b}. `unsqueeze` adds an axis."
    ),
    r"(?:'float' object cannot be interpreted as an int|slice indices must be integers|must be tuple of ints.*float)": (
        "A whole number is needed here. `/` always gives a fraction; `//` divides whole numbers."
    ),
    r"cannot assign (?:module|parameters?) before Module": "Call `super().__init__()` first: it prepares the module.",
    r"only (?:one|single)[ -]element tensors can be converted|Tensor with (\d+) elements cannot be converted": (
        "One number is wanted from a tensor of many. Which axis still has to be reduced?"
    ),
    r"numpy\(\) on Tensor that requires grad": (
        "NumPy knows no gradients. Keep to PyTorch's functions, so that training can reach back through them."
    ),
    r"does not require grad and does not have a grad_fn": (
        "Nothing here collects gradients: something on the way was detached, or `requires_grad_()` was never called."
    ),
    r"grad can be implicitly created only for scalar outputs": (
        "A gradient is taken of one number. Which number should it be: the sum of the last outputs?"
    ),
    r"appears to not have been used in the graph": (
        "The gradient is asked of a tensor that the result was not computed from. Was the network run on another copy?"
    ),
    r"backward through the graph a second time": "The same computation is differentiated twice. Run it again first.",
    r"tensors used as indices must be": "A table is indexed with whole numbers (int64), not with fractions.",
    r"maximum recursion depth": "The function calls itself without end. Is it meant to call another one?",
}
