"""The world as it was when the workshop was imported: answers are judged in it.

A learner may replace ``print`` or ``torch.softmax``, the oracle of an exercise, the default dtype. While an answer is
judged, and again after each call of it, such things are as they were; after the check they are as they were before it.
In a process of its own a check looks at names when it is done, and is done again if a call has changed one.
"""

import builtins
import copy
import inspect
import io
import json
import linecache
import math
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

Meaning = tuple[Any, str, Any]  # owner, name, what the name means there
Setting = tuple[Callable[[], Any], Callable[[Any], Any], Any]  # how it is read, how it is written, its value

_TORCH_CLASSES = (torch.Tensor, nn.Module, nn.Parameter, nn.Linear, nn.Embedding, nn.ModuleList, nn.Sequential)
_OURS = ("gemini_workshop.exercises.", "gemini_workshop.models.")
_NOTHING = object()
_meant: list[tuple[Any, dict[str, Any]]] = []
_classes: list[tuple[type, dict[str, Any], set[str]]] = []
_insides: list[Meaning] = []
_is_left: list[bool] = []  # not empty in a process in which names are put back at the end alone
_get, _set, _delete, _dict, _function = getattr, setattr, delattr, dict, FunctionType  # these may be replaced, too


def _default_device() -> Any:
    return getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)


def _set_default_device(mode: Any) -> None:
    """What torch.set_default_device takes down, without entering or leaving the mode: the stack is put right apart."""
    torch._GLOBAL_DEVICE_CONTEXT.device_context = mode


_NEEDED: tuple[Setting, ...] = (
    (sys.getrecursionlimit, sys.setrecursionlimit, sys.getrecursionlimit()),
    (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    (torch.is_grad_enabled, torch.set_grad_enabled, True),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, False),
    (_default_device, _set_default_device, None),
)


def remember(exercises: Iterable[Any]) -> None:
    """Take down what every name means now, before any learner's code has run; the fields of exercises, too."""
    tools = [
        (module, _callables(module)) for module in (copy, inspect, io, json, os, linecache, signal, threading, time)
    ]
    ours = [module for name, module in sys.modules.items() if name.startswith(_OURS)]
    own = {id(value): value for module in ours for value in vars(module).values() if _is_ours(value)}.values()
    classes = [value for value in own if isinstance(value, type)]
    owners = [builtins, math, torch, functional, nn, torch.linalg, *_TORCH_CLASSES, *ours, *classes, *exercises]
    _meant[:] = [(owner, dict(vars(owner))) for owner in owners] + tools
    _classes[:] = [(owner, dict(vars(owner)), _inherited(owner)) for owner in owners if isinstance(owner, type)]
    functions = [inspect.unwrap(value) for value in own if isinstance(value, FunctionType)]
    _insides[:] = [(f, name, getattr(f, name)) for f in functions for name in ("__code__", "__defaults__")]


def _inherited(cls: type) -> set[str]:
    """Names of a class that stand in the classes that it is built on, and that it may hide."""
    return {name for base in cls.__mro__[1:] for name in vars(base)}


def _callables(module: ModuleType) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if callable(value)}


def _is_ours(value: Any) -> bool:
    return isinstance(value, FunctionType | type) and str(value.__module__).startswith(_OURS)


def put_back() -> None:
    """Let every name mean what it meant, and every setting be as a check needs it."""
    if not _is_left:
        _put_names_back()
    for read, write, needed in _NEEDED:
        if read() != needed:
            write(needed)
    _leave_modes()


def leave_names() -> Callable[[], bool]:
    """From now on in this process, put_back leaves names alone: to look at all of them takes longer than most calls.

    Returns:
        whether any name means something else now; it is put back then.
    """
    _is_left.append(True)
    return lambda: _put_names_back() != []


def _put_names_back() -> list[Meaning]:
    found: list[Meaning] = []
    for owner, meant in _meant:
        now = owner.__dict__
        for name, value in meant.items():
            if name not in now or now[name] is not value:
                found.append((owner, name, now.get(name, _NOTHING)))
                _write(owner, name, value)
    for owner, meant, inherited in _classes:
        for name in owner.__dict__.keys() & inherited:
            if name not in meant:
                found.append((owner, name, owner.__dict__[name]))
                _delete(owner, name)
    for function, name, value in _insides:
        if _get(function, name) is not value:
            found.append((function, name, _get(function, name)))
            _write(function, name, value)
    return found


def _write(owner: Any, name: str, value: Any) -> None:
    """Change what a name means in a module, an instance (frozen or not), a class or a function."""
    space = owner.__dict__
    if value is _NOTHING:
        _delete(owner, name)
    elif space.__class__ is _dict and owner.__class__ is not _function:
        space[name] = value
    else:
        _set(owner, name, value)


def _leave_modes() -> list[Any]:
    """Leave what has been entered and not left: torch's modes bend every function; a default device is one of them."""
    modes = []
    while torch._C._len_torch_function_stack():
        modes.append(torch._C._pop_torch_function_stack())
    return modes[::-1]


@contextmanager
def pristine_world() -> Iterator[None]:
    """While this lasts, everything is as when the workshop was imported; afterwards as it was before."""
    found = _put_names_back()
    settings = _settings()
    modes = _leave_modes()
    put_back()
    try:
        yield
    finally:
        put_back()
        for owner, name, value in found:
            _write(owner, name, value)
        for mode in modes:
            torch._C._push_on_torch_function_stack(mode)
        for _, write, value in settings:
            with suppress(OSError):
                write(value)


def _settings() -> list[Setting]:
    """What a check leaves as it found it."""
    ways: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
        *((read, _if_changed(read, write)) for read, write, _ in _NEEDED),
        (_streams, _write_streams),
        (_folder, os.chdir),
        (lambda: dict(os.environ), _write_environment),
        (lambda: list(warnings.filters), _write_filters),
        (torch.get_rng_state, torch.set_rng_state),
        (np.random.get_state, np.random.set_state),
        (random.getstate, random.setstate),
    )
    return [(read, write, read()) for read, write in ways]


def _streams() -> tuple[Any, ...]:
    return sys.stdin, sys.stdout, sys.stderr, sys.displayhook, sys.excepthook


def _write_streams(value: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr, sys.displayhook, sys.excepthook = value


def _write_environment(value: dict[str, str]) -> None:
    if value != dict(os.environ):
        os.environ.clear()
        os.environ.update(value)


def _write_filters(value: list[Any]) -> None:
    warnings.filters[:] = value  # type: ignore[index]


def _if_changed(read: Callable[[], Any], write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Writing some of torch's settings imports its compiler, which takes seconds."""
    return lambda value: write(value) if read() != value else None


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # the folder is gone
        return os.path.expanduser("~")
