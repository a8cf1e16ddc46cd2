"""What comes out of a learner's code as plain values: no subclass that lies about itself, no text that repaints a page.

``==``, ``float()`` and the methods of a class are code of whoever wrote the class. So a result is taken apart by its
true type before anything asks it a question, and text is cut short and freed of control characters before it is shown.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

DEEPEST = 20
TEXT_CHARACTERS = 600
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
_bases = type.__dict__["__mro__"].__get__
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?", re.DOTALL)
_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]")


class UnfitAnswer(Exception):
    """The learner's code cannot be judged as it is; the text says why, and what is needed."""


class Foreign:
    """A result of a class that no exercise asks for. It equals nothing; its type has the name of that class."""


def is_a(value: Any, kind: type) -> bool:
    """Whether a value is of a type, whatever it says itself."""
    return kind in _bases(type(value))


def plain(value: Any, allow_meta: bool = False, depth: int = 0) -> Any:
    """The same value in Python's and torch's own types.

    Args:
        allow_meta: a tensor without numbers, on torch's "meta" device, is a possible answer.

    Raises:
        UnfitAnswer: it is a kind of tensor, or nested so deeply, that it cannot be compared with anything.
    """
    if type(value) in _PLAIN:
        return value
    if depth > DEEPEST:
        raise UnfitAnswer("It returned lists within lists without end. A result holds numbers or tensors.")
    if is_a(value, Tensor):
        return _plain_tensor(value, allow_meta)
    for kind, convert in _CONVERSIONS.items():
        if is_a(value, kind):
            return convert(value, partial(plain, allow_meta=allow_meta, depth=depth + 1))
    return _foreign(value)


def _plain_tensor(value: Tensor, allow_meta: bool) -> Tensor:
    with torch._C.DisableTorchFunctionSubclass():
        if problem := _tensor_problem(value, allow_meta):
            raise UnfitAnswer(problem)
        return value if type(value) is Tensor else value.as_subclass(Tensor)


def _tensor_problem(value: Tensor, allow_meta: bool) -> str | None:
    if value.is_nested:
        return "It returned a nested tensor; an ordinary one is needed, in which all rows are equally long."
    if value.layout != torch.strided:
        return "It returned a sparse tensor; an ordinary one is needed. `.to_dense()` makes one."
    if value.is_quantized:
        return "It returned a quantized tensor; an ordinary one is needed. `.dequantize()` makes one."
    if value.is_meta and not allow_meta:
        return 'It returned a tensor on the device "meta", which holds no numbers.'
    return None


def _plain_array(value: np.ndarray, inner: Callable[[Any], Any]) -> Any:
    array = np.ndarray.view(value, np.ndarray)
    return inner(array.tolist()) if array.dtype.hasobject else array.copy()


def _plain_scalar(value: np.generic, inner: Callable[[Any], Any]) -> Any:  # noqa: ARG001 (as the others)
    item = np.generic.item(value)
    return item if type(item) in _PLAIN else _foreign(value)


def _foreign(value: Any) -> Any:
    return type(type(value).__name__, (Foreign,), {})()


_CONVERSIONS: dict[type, Callable[[Any, Callable[[Any], Any]], Any]] = {
    int: lambda value, _: int.__int__(value),
    float: lambda value, _: float.__float__(value),
    complex: lambda value, _: complex.__complex__(value),
    str: lambda value, _: str.__str__(value),
    np.generic: _plain_scalar,
    np.ndarray: _plain_array,
    list: lambda value, inner: [inner(each) for each in list.__iter__(value)],
    tuple: lambda value, inner: tuple([inner(each) for each in tuple.__iter__(value)]),
    dict: lambda value, inner: {inner(key): inner(each) for key, each in dict.items(value)},
    set: lambda value, inner: {inner(each) for each in set.__iter__(value)},
    frozenset: lambda value, inner: frozenset([inner(each) for each in frozenset.__iter__(value)]),
}


def shown(text: str, most: int = TEXT_CHARACTERS) -> str:
    """Text that is safe to show: no control characters or half characters, and not more than so many letters."""
    cut = text[: 4 * most]
    clean = _UNSHOWABLE.sub("\ufffd", _ESCAPES.sub("", cut))
    return clean if len(clean) <= most and len(cut) == len(text) else f"{clean[:most]} ..."


def message_of(error: BaseException) -> str:
    """An error as "ValueError: why", in one line; what its own ``__str__`` breaks is left out."""
    name = shown(type(error).__name__, 80)
    try:
        text = str(error)[: 4 * TEXT_CHARACTERS]
    except BaseException:
        return f"{name} (whose own message fails)"
    return shown(f"{name}: {' '.join(text.split())}")
