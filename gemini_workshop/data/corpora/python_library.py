"""The standard library of the Python that runs this, as code and as prose: real text that every machine has."""

import ast
import pydoc_data.topics
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

LEFT_OUT = {"test", "tests", "idlelib", "turtledemo", "lib2to3", "site-packages", "dist-packages", "__pycache__"}
MIN_DOCSTRING_CHARACTERS = 200


def library_source() -> Iterator[str]:
    """Its modules, by path: whole files, tests left out."""
    for path in _modules():
        yield path.read_text("utf-8")


def library_docs() -> Iterator[str]:
    """What ``help()`` knows of the language, topic by topic, then the longer docstrings, module by module."""
    yield from (text.strip() for _, text in sorted(pydoc_data.topics.topics.items()))
    for path in _modules():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # the library's own, on a Python that has learnt to warn
            tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node) or ""
                if len(docstring) >= MIN_DOCSTRING_CHARACTERS:
                    yield docstring


def _modules() -> list[Path]:
    folder = Path(sysconfig.get_path("stdlib"))
    paths = sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).as_posix())
    return [path for path in paths if LEFT_OUT.isdisjoint(path.relative_to(folder).parts) and path.stat().st_size]
