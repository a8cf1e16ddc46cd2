"""The server of the sandbox for answers: it has imported torch and the exercises before any answer comes.

python -m gemini_workshop.grading.server LIMITS
"""

import contextlib
import importlib
import pkgutil
import sys

import torch

import gemini_workshop.exercises  # noqa: F401 (takes down what every name means, before an answer can change it)
from gemini_workshop import config, generation, models
from gemini_workshop.evaluation.sandbox.server import main
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.grading import jailed, outside

COMMAND = (sys.executable, "-I", "-X", "utf8", "-m", "gemini_workshop.grading.server")
PARTS = (config, generation, models)
"""What answers may import: it has to be there already, since in the jail of values the package's files are hidden."""


def serve() -> None:
    """Import everything that answers need, then judge them until the input ends."""
    torch.set_num_threads(1)
    modules = (each.name for part in PARTS for each in pkgutil.walk_packages(part.__path__, f"{part.__name__}."))
    for name in {*modules, *(each for exercise in all_exercises().values() for each in exercise.imports)}:
        with contextlib.suppress(ImportError):  # what an extra brings
            importlib.import_module(name)
    main(jailed.run, outside.decide)


if __name__ == "__main__":
    serve()
