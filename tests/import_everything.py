"""Import every module of the package that a learner may meet with nothing but the core dependencies.

Distributions that are installed but that a learner's installation does not bring are hidden first.
Run it as a script: python tests/import_everything.py
"""

import importlib
import pkgutil
import sys
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gemini_workshop

FOR_OTHERS = (
    "gemini_workshop.authoring",  # builds notebooks with jupytext, which the extra "dev" brings
    "gemini_workshop.demos.gate",  # the page of the extra "demo"
    "gemini_workshop.demos.page",
    "gemini_workshop.room.app",  # a server, too
    "gemini_workshop.room.server",
    "gemini_workshop.serving.",  # a server of FastAPI, which the extra "serve" brings; the command line loads it late
)


def learner_installation(distribution: str = "gemini-from-scratch") -> set[str]:
    """The names of all distributions that installing this one without extras brings."""
    found: set[tuple[str, str]] = set()
    queue = [(canonicalize_name(distribution), "")]
    while queue:
        name, extra = item = queue.pop()
        if item in found:
            continue
        found.add(item)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another platform
            continue
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                queue += [(canonicalize_name(requirement.name), extra) for extra in ["", *requirement.extras]]
    return {name for name, _ in found}


class Hidden:
    """A finder that answers as if what is not in a learner's installation were not there."""

    def __init__(self) -> None:
        allowed = learner_installation()
        self.names = {
            module
            for module, homes in metadata.packages_distributions().items()
            if not any(canonicalize_name(home) in allowed for home in homes)
        }

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"{name} is not part of a learner's installation", name=name)


def import_everything() -> int:
    """Import all modules; return how many."""
    walk = pkgutil.walk_packages(gemini_workshop.__path__, "gemini_workshop.")
    modules = [module.name for module in walk if not module.name.startswith(FOR_OTHERS)]
    for name in modules:
        importlib.import_module(name)
    return len(modules)


if __name__ == "__main__":
    sys.meta_path.insert(0, Hidden())  # type: ignore[arg-type]
    print(f"imported {import_everything()} modules")
