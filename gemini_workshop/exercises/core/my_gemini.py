"""The learner's own package: every function and class that passed, with what it needs to be imported again.

Each exercise becomes one file, ``<home>/my_gemini/ex_02_2.py``, rewritten whenever a newer answer passes.
"""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gemini_workshop.errors import WorkshopError
from gemini_workshop.files import write_atomically
from gemini_workshop.paths import home


def folder() -> Path:
    """Where the learner's functions are kept."""
    return home() / "my_gemini"


def keep(exercise_id: str, name: str, source: str) -> Path:
    """Save an answer that passed, from a source that runs alone.

    Raises:
        OSError: the folder cannot be written.
    """
    path = _path(exercise_id)
    write_atomically(path, f'"""Exercise {exercise_id}, {name}: passed."""\n\n{source}'.encode())
    write_atomically(folder() / "__init__.py", b'"""Functions that passed their checks, one file per exercise."""\n')
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
    sys.modules[spec.name] = module  # dataclasses and pickle look here for what it defines
    spec.loader.exec_module(module)
    return getattr(module, name)


def kept() -> list[str]:
    """The ids of the exercises whose answers are the learner's own."""
    return sorted(path.stem.removeprefix("ex_").replace("_", ".") for path in folder().glob("ex_*.py"))


def _path(exercise_id: str) -> Path:
    return folder() / f"ex_{exercise_id.replace('.', '_')}.py"
