"""Write an answer down with all that it uses, so that it runs alone: imports, constants, helpers, base classes."""

import importlib
import inspect
import math
import sys
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch

from gemini_workshop.exercises.core.crash import is_library
from gemini_workshop.exercises.core.plain import is_a
from gemini_workshop.exercises.core.sources import assignment_of, free_names, names_in_reach, source_of

MOST_NUMBERS = 10_000
_HOLDERS = ("torch", "torch.nn.functional", "torch.nn", "torch.linalg", "torch.special", "math", "numpy", "builtins")


class NotKept(Exception):
    """Something cannot be written down; the text says what, and what would help."""


def standalone(answer: Any, title: str) -> str:
    """The source of an answer, under the name ``title``, preceded by everything that it uses.

    Raises:
        NotKept: a part of it cannot be written down.
    """
    page = _Page()
    page.need(title, answer)
    return page.text()


class _Page:
    """Statements in the order in which they can run: what a definition uses comes before it."""

    def __init__(self) -> None:
        self.meanings: dict[str, Any] = {}
        self.finished: set[str] = set()
        self.named: dict[int, str] = {}
        self.imports: list[str] = []
        self.parts: list[str] = []

    def text(self) -> str:
        return "\n".join(sorted(self.imports)) + "\n\n\n" * bool(self.imports) + "\n\n".join(self.parts)

    def need(self, name: str, value: Any, user: str = "", known: dict[str, Any] | None = None) -> None:
        """Let a name mean this value from here on.

        Args:
            user: the file of what uses it.
            known: what other names mean there.
        """
        if name in self.meanings:
            if self.meanings[name] is not value and not _are_alike(self.meanings[name], value):
                raise NotKept(f"it uses two different things that are called `{name}`. Give one of them another name")
            return
        self.meanings[name] = value
        if id(value) in self.named and not isinstance(value, int | float | str | None):
            self.parts.append(f"{name} = {self.named[id(value)]}\n")
        else:
            self._write(name, value, user, known or {})
            self.named[id(value)] = name
        self.finished.add(name)

    def _write(self, name: str, value: Any, user: str, known: dict[str, Any]) -> None:
        written = _written_function(value)
        source = source_of(written, with_decorators=written is not value) if written is not None else None
        if statement := _import(name, value):
            self.imports.append(statement)
        elif written is not None and source is not None:
            self._define(name, written, source)
        elif (literal := self._literal(value)) is not None:
            self.parts.append(f"{name} = {literal}\n")
        elif (again := assignment_of(name, user)) is not None:
            self._need_all(again, known, user)
            self.parts.append(again)
        else:
            raise NotKept(_why(name, value))

    def _define(self, name: str, value: FunctionType | type, source: str) -> None:
        own = _own_name(value)
        if own == "<lambda>":
            source = f"{name} = ({source}\n)\n"
        self._need_all(source, names_in_reach(value), _file(value), but=own)
        if own != name and own in self.finished:
            raise NotKept(f"it uses two different things that are called `{own}`. Give one of them another name")
        self.parts.append(source if own in (name, "<lambda>") else f"{source}\n\n{name} = {own}\n")

    def _need_all(self, source: str, known: dict[str, Any], file: str, but: str = "") -> None:
        for used in free_names(source):
            if used in known and used not in (but, "__name__", "__file__"):
                self.need(used, known[used], file, known)

    def _literal(self, value: Any) -> str | None:
        """An expression that gives this value again."""
        if value is None or type(value) in (bool, int, str, bytes, type(...)):
            return repr(value)
        if type(value) is float:
            return repr(value) if math.isfinite(value) else f'float("{value}")'
        if type(value) in (list, tuple, set, frozenset, dict):
            return self._literal_container(value)
        if type(value) in (range, complex, slice):
            return repr(value)
        if isinstance(value, torch.dtype | torch.device):
            self.need("torch", torch)
            return repr(value) if isinstance(value, torch.dtype) else f"torch.{value!r}"
        if is_a(value, torch.Tensor):
            return self._literal_tensor(value)
        if isinstance(value, np.generic | np.ndarray) and value.size <= MOST_NUMBERS and not value.dtype.hasobject:
            self.need("numpy", np)
            return f'numpy.array({self._literal(value.tolist())}, dtype="{value.dtype}")[()]'
        if type(value) is partial:
            return self._literal_partial(value)
        return None

    def _literal_container(self, value: Any) -> str | None:
        items = [each for pair in value.items() for each in pair] if isinstance(value, dict) else list(value)
        texts = [self._literal(each) for each in items]
        if None in texts:
            return None
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key}: {each}" for key, each in zip(texts[::2], texts[1::2], strict=True)) + "}"
        inside = ", ".join(map(str, texts))
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside}{',' * bool(inside)})" if isinstance(value, tuple) else f"{type(value).__name__}([{inside}])"

    def _literal_tensor(self, value: torch.Tensor) -> str | None:
        if type(value) is not torch.Tensor or value.numel() > MOST_NUMBERS or value.layout != torch.strided:
            return None
        self.need("torch", torch)
        numbers = self._literal(value.detach().cpu().tolist())
        return f"torch.tensor({numbers}, dtype={value.dtype}).reshape({tuple(value.shape)})"

    def _literal_partial(self, value: "partial[Any]") -> str | None:
        arguments = [self._literal(each) for each in value.args]
        named = {name: self._literal(each) for name, each in value.keywords.items()}
        if None in arguments or None in named.values():
            return None
        function = f"_{getattr(value.func, '__name__', 'function').strip('<>')}_{len(self.meanings)}"
        self.need("functools", sys.modules["functools"])
        self.need(function, value.func)
        given = [function, *map(str, arguments), *(f"{name}={each}" for name, each in named.items())]
        return f"functools.partial({', '.join(given)})"


def _written_function(value: Any) -> FunctionType | type | None:
    """The function or class of a learner's own that a value is, or that decorators have wrapped."""
    if isinstance(value, FunctionType) and not is_library(value.__code__.co_filename):
        return value
    if isinstance(value, type):
        return value if _import("", value) is None else None
    inner = inspect.unwrap(value) if callable(value) and hasattr(value, "__wrapped__") else None
    return inner if isinstance(inner, FunctionType) and not is_library(inner.__code__.co_filename) else None


def _own_name(value: FunctionType | type) -> str:
    """The name that a definition gives."""
    return value.__name__ if isinstance(value, type) else value.__code__.co_name


def _file(value: FunctionType | type) -> str:
    if isinstance(value, FunctionType):
        return value.__code__.co_filename
    inside = [each for each in vars(value).values() if isinstance(each, FunctionType)]
    return inside[0].__code__.co_filename if inside else str(getattr(sys.modules.get(value.__module__), "__file__", ""))


def _import(name: str, value: Any) -> str | None:
    """The statement that gives a module, or something of an installed one, this name."""
    if isinstance(value, ModuleType):
        renamed = f" as {name}" if value.__name__ != name else ""
        return f"import {value.__name__}{renamed}" if _is_installed(value) else None
    own = getattr(value, "__name__", None)
    for holder in (getattr(value, "__module__", None), *_HOLDERS):
        module = _installed(holder)
        if module and isinstance(own, str) and own.isidentifier() and getattr(module, own, None) is value:
            return f"from {holder} import {own}" + (f" as {name}" if own != name else "")
    if not isinstance(value, int | float | str | None) and (table := _module_of_table(name, value)):
        return f"from {table} import {name}"
    return None


def _installed(name: Any) -> ModuleType | None:
    if not isinstance(name, str) or name == "__main__" or name.startswith("my_gemini"):
        return None
    try:
        module = importlib.import_module(name)
    except (ImportError, ValueError):
        return None
    return module if _is_installed(module) else None


def _is_installed(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    is_imported = getattr(module, "__spec__", None) is not None and module.__name__ != "__main__"
    return is_imported and (file is None or is_library(file))


def _module_of_table(name: str, value: Any) -> str | None:
    """The module of ours that holds this very object, such as the table ACTIVATIONS, by this name."""
    ours = sorted(module for module in sys.modules if module.startswith("gemini_workshop."))
    return next((module for module in ours if vars(sys.modules[module]).get(name) is value), None)


def _are_alike(a: Any, b: Any) -> bool:
    return type(a) is type(b) and type(a) in (bool, int, float, str) and a == b


def _why(name: str, value: Any) -> str:
    if isinstance(value, FunctionType | type):
        return f"the source of `{name}` is not to be found. Define it with `def` or `class`, in a cell of its own"
    if isinstance(value, ModuleType):
        return f"it uses `{name}`, a file of your own. Copy what you need of it into the notebook"
    kind = type(value).__name__
    if is_a(value, torch.Tensor):
        return f"it uses `{name}`, a {kind} with {value.numel()} numbers. Compute it inside, or make it an argument"
    return f"it uses `{name}`, a {kind}, which cannot be written down. Make it inside, or make it an argument"
