"""Which kept files a check on this account wrote, so that code from elsewhere does not run unasked.

Their sums are in ``<home>/kept.json``, beside the folder and not inside: whoever takes over a folder of someone else
does not take over that it is trusted.
"""

import builtins
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from gemini_workshop.errors import WorkshopError
from gemini_workshop.files import locked, write_atomically
from gemini_workshop.paths import home
from gemini_workshop.reading import read_json


class Foreign(WorkshopError):
    """A kept file that no check on this account wrote, and that nobody allowed to run."""


def note(path: Path, content: bytes) -> None:
    """Remember that this content of a file may run.

    Raises:
        OSError: it cannot be written down.
    """
    home().mkdir(parents=True, exist_ok=True)
    with locked(home() / ".kept.lock"):
        sums = _sums() | {path.name: _sum(content)}
        write_atomically(_list(), json.dumps(sums, indent=1, sort_keys=True).encode())


def check_trusted(path: Path, content: bytes) -> None:
    """Refuse code that no check on this account wrote, unless whoever sits at the computer allows it.

    Raises:
        Foreign: there is nobody to ask, or the answer is not yes.
    """
    if _sums().get(path.name) == _sum(content):
        return
    problem = f"{path} was not written by a check on this account, or was changed since."
    if not _says_yes(f"{problem}\nIts code would run with all your rights. Run it? [y/N] "):
        raise Foreign(f"{problem} It does not run. Read it, and run its check on your own code to replace it.")
    note(path, content)


def _says_yes(question: str) -> bool:
    """The answer of a terminal or a notebook; where there is neither, no."""
    in_notebook = getattr(builtins.input, "__module__", "builtins") != "builtins"
    if not in_notebook and not (sys.stdin and sys.stdin.isatty()):
        return False
    try:
        return input(question).strip().lower() in ("y", "yes")
    except (EOFError, NotImplementedError):  # a notebook that is run without a browser
        return False


def _sums() -> dict[str, Any]:
    try:
        sums = read_json(_list())
    except WorkshopError:
        return {}
    return sums if isinstance(sums, dict) else {}


def _list() -> Path:
    return home() / "kept.json"


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
