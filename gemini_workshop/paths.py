"""Where the workshop's files lie: in a clone, in an installed package, and in the learner's own folder."""

import os
import sysconfig
from pathlib import Path

PACKAGE = Path(__file__).parent


def home() -> Path:
    """The learner's folder: progress and the functions that passed. GEMINI_WORKSHOP_HOME moves it."""
    return Path(os.environ.get("GEMINI_WORKSHOP_HOME") or Path.home() / ".gemini_workshop")


def clone_folder() -> Path | None:
    """The top of the repository if the package runs from a clone (``pip install -e .``), else None."""
    top = PACKAGE.parent
    return top if (top / "pyproject.toml").is_file() else None


def notebooks_folder() -> Path | None:
    """The lessons; None where the package was installed without a clone."""
    top = clone_folder()
    return top / "notebooks" if top and (top / "notebooks").is_dir() else None


def samples_folder() -> Path:
    """The embedded corpora: ``data/samples`` of the clone, or where a wheel puts them."""
    if top := clone_folder():
        return top / "data" / "samples"
    schemes = [sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")]
    places = [Path(sysconfig.get_path("data", scheme), "share", "gemini_workshop", "samples") for scheme in schemes]
    return next((place for place in places if place.is_dir()), places[0])
