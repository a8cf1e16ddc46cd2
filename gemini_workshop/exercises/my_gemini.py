"""The learner's own package: every function and class that passed, with what it needs to be imported again.

Each exercise becomes one file, ``<home>/my_gemini/ex_02_2.py``, rewritten whenever a newer answer passes.
"""

import ast
import importlib.util
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.progress import home, write_whole


def folder() -> Path:
    """Where the learner's functions are kept."""
    return home() / "my_gemini"


def keep(exercise_id: str, name: str, function: Callable[..., Any]) -> Path | None:
    """Save an answer's source; None where it has none of its own (a built-in, a lambda, the reference itself)."""
    if not isinstance(function, FunctionType | type) or function.__module__.startswith("gemini_workshop."):
        return None
    source = standalone_source(function)
    if source is None:
        return None
    alias = "" if function.__name__ == name else f"\n\n{name} = {function.__name__}\n"
    path = _path(exercise_id)
    write_whole(path, f'"""Exercise {exercise_id}, {name}: passed."""\n\n{source}{alias}')
    write_whole(folder() / "__init__.py", '"""Functions that passed their checks, one file an exercise."""\n')
    return path


def load(exercise_id: str, name: str) -> Callable[..., Any]:
    """The learner's function for an exercise.

    Raises:
        WorkshopError: that exercise has not been passed on this computer.
    """
    path = _path(exercise_id)
    if not path.is_file():
        raise WorkshopError(f"Exercise {exercise_id} has not been passed here yet: {path.name} is not in my_gemini.")
    spec = importlib.util.spec_from_file_location(f"my_gemini.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise WorkshopError(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def kept() -> list[str]:
    """The ids of the exercises whose answers are the learner's own."""
    return sorted(path.stem.removeprefix("ex_").replace("_", ".") for path in folder().glob("ex_*.py"))


def standalone_source(function: FunctionType | type) -> str | None:
    """A function's or class's source, preceded by the imports, constants, functions and classes that it uses.

    None if the source cannot be had, or if it uses something that cannot be written down.
    """
    parts: dict[str, str] = {}
    if not _collect(function, parts):
        return None
    lines = sorted(text for text in parts.values() if text.startswith(("import ", "from ")))
    rest = [text for text in parts.values() if not text.startswith(("import ", "from "))]
    return "\n".join(lines) + "\n\n\n" * bool(lines) + "\n\n".join(rest)


def _collect(function: FunctionType | type, parts: dict[str, str]) -> bool:
    """Add a function or class and, before it, everything that it names; parts keep the order of definition."""
    source = _source(function)
    if source is None:
        return False
    tree = ast.parse(source)
    if not isinstance(tree.body[0], ast.FunctionDef | ast.ClassDef):
        return False
    known = _names_in_reach(function)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for name in sorted(used):
        if name == function.__name__ or name in parts or name not in known:
            continue
        value = known[name]
        if isinstance(value, FunctionType | type) and _is_written_down(value, function):
            if not _collect(value, parts):
                return False
            if value.__name__ != name:
                parts[name] = f"{name} = {value.__name__}\n"
        elif (statement := _import_or_constant(name, value)) is not None:
            parts[name] = statement
        else:
            return False
    parts[function.__name__] = source
    return True


def _is_written_down(value: FunctionType | type, function: FunctionType | type) -> bool:
    """Whether a function's source is copied: it stands beside this one, or was kept in an earlier lesson."""
    return value.__module__ == function.__module__ or value.__module__.startswith("my_gemini.")


def _methods(cls: type) -> list[FunctionType]:
    """The functions written in a class, those of its properties and decorated ones excepted."""
    return [value for value in vars(cls).values() if isinstance(value, FunctionType)]


def _names_in_reach(function: FunctionType | type) -> dict[str, Any]:
    functions = _methods(function) if isinstance(function, type) else [function]
    known: dict[str, Any] = {}
    for one in functions:
        known |= {**one.__globals__, **inspect.getclosurevars(one).nonlocals}
    return known


def _source(function: FunctionType | type) -> str | None:
    """The text of a definition.

    A class of a notebook is looked up by one of its methods: before Python 3.13 a class does not know where it stands.
    """
    try:
        if not isinstance(function, type):
            return textwrap.dedent(inspect.getsource(function))
        method = _methods(function)[0].__code__
        lines = linecache.getlines(method.co_filename)
        inside = [
            node
            for node in ast.walk(ast.parse("".join(lines)))
            if isinstance(node, ast.ClassDef)
            and node.name == function.__name__
            and node.lineno <= method.co_firstlineno <= (node.end_lineno or 0)
        ]
        first = min([inside[-1].lineno, *(decorator.lineno for decorator in inside[-1].decorator_list)])
        return textwrap.dedent("".join(lines[first - 1 : inside[-1].end_lineno]))
    except (OSError, TypeError, SyntaxError, IndexError):
        return None


def _import_or_constant(name: str, value: Any) -> str | None:
    if isinstance(value, ModuleType):
        return f"import {value.__name__}" + (f" as {name}" if value.__name__ != name else "")
    if isinstance(value, bool | int | float | str | None):
        return f"{name} = {value!r}\n"
    if _is_importable(value):
        own_name = value.__name__
        return f"from {value.__module__} import {own_name}" + (f" as {name}" if own_name != name else "")
    if module := _module_of_table(name, value):
        return f"from {module} import {name}"
    return None


def _module_of_table(name: str, value: Any) -> str | None:
    """The module of ours that holds this very dictionary, such as ACTIVATIONS, by this name."""
    if not isinstance(value, dict):
        return None
    ours = sorted(module for module in sys.modules if module.startswith("gemini_workshop."))
    return next((module for module in ours if vars(sys.modules[module]).get(name) is value), None)


def _is_importable(value: Any) -> bool:
    """Whether ``from module import name`` gives this very object back."""
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return False
    try:
        return getattr(importlib.import_module(module), name, None) is value
    except ImportError:
        return False


def _path(exercise_id: str) -> Path:
    return folder() / f"ex_{exercise_id.replace('.', '_')}.py"
