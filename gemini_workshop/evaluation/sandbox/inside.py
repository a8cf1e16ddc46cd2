"""What runs in the jail: the program, and a loop that answers what the judge asks of it.

The judge and its tests are in another process. What arrives here is the program's source, then calls of its functions;
what goes back are values. So the program can answer, and nothing else: it sees no test, no expected result and no
verdict. Whatever it does to this process, it does to itself.

A message is one line of JSON. Plain values travel as they are, or as {kind: parts} where JSON has no word for them;
of anything else a number travels, the place where it is kept here.
"""

import json
import linecache
import os
import sys
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from types import ModuleType
from typing import Any

LARGEST_PLAIN_INT = 2**1000  # beyond, digits take longer than hexadecimal
PARTS: dict[Any, Callable[[Any], tuple[Any, ...]]] = {
    tuple: lambda value: (list(value),),
    set: lambda value: (list(value),),
    frozenset: lambda value: (list(value),),
    complex: lambda value: (value.real, value.imag),
    range: lambda value: (value.start, value.stop, value.step),
    slice: lambda value: (value.start, value.stop, value.step),
    bytearray: lambda value: (bytes(value),),
    Counter: lambda value: (dict(value),),
    OrderedDict: lambda value: (list(value.items()),),
    defaultdict: lambda value: (value.default_factory, dict(value)),
    deque: lambda value: (list(value), value.maxlen),
    Decimal: lambda value: (str(value),),
    Fraction: lambda value: (value.numerator, value.denominator),
    date: lambda value: (value.isoformat(),),
    time: lambda value: (value.isoformat(),),
    datetime: lambda value: (value.isoformat(),),
    timedelta: lambda value: (value.days, value.seconds, value.microseconds),
    type({}.keys()): lambda value: (list(value),),
    type({}.items()): lambda value: (list(value),),
}
"""What a value of just this type is made of. Like pickle, but only for types whose values do nothing of their own."""

FROM_PARTS: dict[str, Callable[..., Any]] = {
    **{kind.__name__: kind for kind in PARTS},
    **{kind.__name__: kind.fromisoformat for kind in (date, time, datetime)},
    "dict_keys": lambda keys: dict.fromkeys(keys).keys(),
    "dict_items": lambda items: dict(items).items(),
    "namedtuple": lambda name, fields, items: namedtuple(name, fields)(*items),
}
TYPES = {kind.__name__: kind for kind in (bool, int, float, str, bytes, list, dict, *PARTS)}
CONSTANTS = {"Ellipsis": ..., "NotImplemented": NotImplemented}


def to_json(value: Any, keep: Callable[[Any], int]) -> Any:
    """A value as JSON. ``keep`` stores any other object and returns its number.

    Example:
        >>> to_json((1, {"a": {2}}), keep=id)
        {'tuple': [[1, {'dict': [['a', {'set': [[2]]}]]}]]}
    """
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < LARGEST_PLAIN_INT else {"int": hex(value)}
    if isinstance(value, list):
        return [to_json(item, keep) for item in value]
    if parts := PARTS.get(type(value)):
        return {type(value).__name__: [to_json(part, keep) for part in parts(value)]}
    if isinstance(value, dict):
        return {"dict": [[to_json(key, keep), to_json(item, keep)] for key, item in value.items()]}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {"namedtuple": [type(value).__name__, list(value._fields), to_json(list(value), keep)]}
    for kind in (tuple, set, frozenset):
        if isinstance(value, kind):
            return {kind.__name__: [[to_json(item, keep) for item in value]]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    for name, constant in (*TYPES.items(), *CONSTANTS.items()):
        if value is constant:
            return {"named": name}
    return {"kept": keep(value)}


def from_json(content: Any, find: Callable[[int], Any]) -> Any:
    """The value again. ``find`` returns the object with a number."""
    if isinstance(content, list):
        return [from_json(item, find) for item in content]
    if not isinstance(content, dict):
        return content
    ((kind, inner),) = content.items()
    if kind == "kept":
        return find(inner)
    if kind == "dict":
        return {from_json(key, find): from_json(item, find) for key, item in inner}
    if kind == "int":
        return int(inner, 16)
    if kind == "bytes":
        return bytes.fromhex(inner)
    if kind == "named":
        return {**TYPES, **CONSTANTS}[inner]
    return FROM_PARTS[kind](*from_json(inner, find))


class Loop:
    """Answers requests about one program."""

    def __init__(self) -> None:
        module = ModuleType("program")
        sys.modules["program"] = module  # where dataclasses, pickle and typing look for a program's own names
        self.names: dict[str, Any] = vars(module)
        self.kept: list[Any] = []
        self.places: dict[int, int] = {}

    def keep(self, value: Any) -> int:
        """Store a value; say where. The same object has the same place."""
        place = self.places.setdefault(id(value), len(self.kept))
        if place == len(self.kept):
            self.kept.append(value)
        return place

    def answer(self, verb: str, *contents: Any) -> Any:
        """Do what is asked: run a source, find a name, call, read or set an attribute, compare, list the items."""
        if verb == "run":
            linecache.cache["program"] = (len(contents[0]), None, contents[0].splitlines(keepends=True), "program")
            exec(compile(contents[0], "program", "exec"), self.names)  # noqa: S102  # what the jail is for
            return None
        if verb == "name":
            return self.names[contents[0]]
        values = [from_json(content, self.kept.__getitem__) for content in contents]
        if verb == "call":
            return values[0](*values[1], **values[2])
        if verb == "get":
            return getattr(values[0], values[1])
        if verb == "set":
            return setattr(values[0], values[1], values[2])
        if verb == "equal":
            return bool(values[0] == values[1])
        if verb == "hash":
            return hash(values[0])
        return list(values[0])

    def reply(self, line: bytes) -> bytes:
        """The answer to one line, as one line; an exception is an answer, too."""
        try:
            value = self.answer(*json.loads(line))
            return json.dumps({"value": to_json(value, self.keep)}).encode() + b"\n"
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"[:500]
            return json.dumps({"error": text}).encode() + b"\n"


def run(make: Callable[[], Loop] = Loop) -> None:
    """Answer on the standard streams. The program does not have them: it reads nothing, and prints to the third.

    Args:
        make: what answers.
    """
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    loop = make()
    replies.write(b"ready\n")
    replies.flush()
    for line in requests:
        replies.write(loop.reply(line))
        replies.flush()
