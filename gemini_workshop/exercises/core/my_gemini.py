"""The learner's own package: every function and class that passed, with what it needs to be imported again.

Each exercise becomes one file, ``<home>/my_gemini/ex_02_2.py``, rewritten whenever a newer answer passes. A file that
no check on this account wrote runs only if whoever sits at the computer says so.
"""

import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any

from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.core.trust import check_trusted, note
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
    path, content = _path(exercise_id), f'"""Exercise {exercise_id}, {name}: passed."""\n\n{source}'.encode()
    write_atomically(path, content)
    note(path, content)
    write_atomically(folder() / "__init__.py", b'"""Functions that passed their checks, one file per exercise."""\n')
    return path


def load(exercise_id: str, name: str) -> Callable[..., Any]:
    """The learner's function for an exercise.

    Raises:
        Foreign: no check on this account wrote it, and nobody allowed it to run.
        WorkshopError: that exercise has not been passed on this computer.
    """
    path = _path(exercise_id)
    if not path.is_file():
        raise WorkshopError(f"Exercise {exercise_id} has not been passed here yet: {path.name} is not in my_gemini.")
    spec = spec_from_file_location(f"my_gemini.{path.stem}", loader=_Trusted(f"my_gemini.{path.stem}", str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look here for what it defines
    spec.loader.exec_module(module)
    return getattr(module, name)


class _Trusted(SourceFileLoader):
    """Runs the text of a file, after asking whether it may run: never a compiled file that lies beside it."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 (as importlib calls it)
        content = self.get_data(self.path)
        check_trusted(Path(self.path), content)
        return self.source_to_code(content, self.path)


def kept() -> list[str]:
    """The ids of the exercises whose answers are the learner's own."""
    return sorted(path.stem.removeprefix("ex_").replace("_", ".") for path in folder().glob("ex_*.py"))


def _path(exercise_id: str) -> Path:
    return folder() / f"ex_{exercise_id.replace('.', '_')}.py"
