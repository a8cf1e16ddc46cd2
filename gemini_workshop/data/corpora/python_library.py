"""The standard library of the Python that runs this, as code and as prose: real text that every machine has."""

import ast
import pydoc_data.topics
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from gemini_workshop.errors import DataError

LEFT_OUT = {"test", "tests", "idlelib", "turtledemo", "lib2to3", "site-packages", "dist-packages", "__pycache__"}
MIN_DOCSTRING_CHARACTERS = 200


def library_source() -> Iterator[str]:
    """Its modules, by path: whole files, tests left out."""
    for path in _modules():
        yield path.read_text("utf-8")


def library_docs() -> Iterator[str]:
    """The topics of ``help()`` one by one, then the longer docstrings, module by module."""
    yield from (text.strip() for _, text in sorted(pydoc_data.topics.topics.items()))
    for path in _modules():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # the library's own, on a newer Python
            tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node) or ""
                if len(docstring) >= MIN_DOCSTRING_CHARACTERS:
                    yield docstring


def standard_library() -> Path:
    """The folder of Python's own modules: code that every machine has."""
    return Path(sysconfig.get_path("stdlib"))


def python_files(folder: str | Path) -> Iterator[Path]:
    """The Python files below a folder, in the order of their names; without tests and installed packages.

    Raises:
        DataError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder. Name one that holds Python files.")
    paths = sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).as_posix())
    return (path for path in paths if LEFT_OUT.isdisjoint(path.relative_to(folder).parts))


def _modules() -> Iterator[Path]:
    return (path for path in python_files(standard_library()) if path.stat().st_size)
