"""Where the workshop's files are: in a clone, in an installed package, and in the learner's own folder."""

import os
from pathlib import Path

PACKAGE = Path(__file__).parent


def home() -> Path:
    """The learner's folder, with progress and the functions that passed. GEMINI_WORKSHOP_HOME changes it."""
    return Path(os.environ.get("GEMINI_WORKSHOP_HOME") or Path.home() / ".gemini_workshop")


def clone_folder() -> Path | None:
    """The top of the repository if the package runs from a clone (``pip install -e .``), else None."""
    top = PACKAGE.parent
    return top if (top / "pyproject.toml").is_file() else None


def lessons_folder() -> Path:
    """The learner's own copies of the lessons. GEMINI_WORKSHOP_LESSONS changes it."""
    return Path(os.environ.get("GEMINI_WORKSHOP_LESSONS") or Path.home() / "gemini-lessons")


def notebooks_folder() -> Path:
    """The lessons as they ship: ``notebooks`` of the clone, or what a wheel brought (without the sources)."""
    return _shipped("notebooks")


def samples_folder() -> Path:
    """The bundled corpora: ``data/samples`` of the clone, or what a wheel brought."""
    return _shipped("data/samples")


def _shipped(folder: str) -> Path:
    """A folder of the clone, or the copy of it that setup.py puts into a wheel."""
    top = clone_folder()
    return top / folder if top else PACKAGE / Path(folder).name
