"""Imports point one way. The layers, lowest first; a module may import from its own unit and from the layers below."""

import ast
from pathlib import Path

import pytest

import gemini_workshop

PACKAGE = Path(gemini_workshop.__file__).parent
LAYERS = [
    {"paths", "errors"},
    {"config"},
    {"devices"},
    {"diagnostics", "data", "models"},
    {"generation", "training"},
    {"evaluation", "finetuning"},
    {"exercises", "visualization"},
    {"authoring", "benchmarks", "demos"},
    {"cli"},
]
HEIGHT = {unit: height for height, layer in enumerate(LAYERS) for unit in layer}


def wrong_arrows(source: str, importer: str) -> list[str]:
    """Every import in the source text of the module ``importer`` ("models/attention.py") that points back."""
    home = _unit(importer)
    wrong = []
    for imported in _imported_units(source, importer):
        if imported not in HEIGHT:
            wrong.append(f"{importer} imports {imported}, which has no layer: give it one in LAYERS")
        elif imported != home and HEIGHT[imported] >= HEIGHT[home]:
            wrong.append(f"{importer} imports {imported}: not allowed")
    return wrong


def _imported_units(source: str, importer: str) -> list[str]:
    """The units of gemini_workshop that the source imports, wherever in the file the import stands."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            here = ["gemini_workshop", *Path(importer).parent.parts]
            base = here[: len(here) - node.level + 1]
            found += [".".join([*base, node.module or alias.name]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "gemini_workshop":
            names = [alias.name for alias in node.names if not alias.name.startswith("__")]
            found += [f"gemini_workshop.{name}" for name in names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    parts = [name.split(".") for name in found]
    return [path[1] for path in parts if path[0] == "gemini_workshop" and len(path) > 1]


def _unit(module: str) -> str:
    return Path(module).parts[0].removesuffix(".py")


def test_no_import_points_back():
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name != "__init__.py":
            wrong += wrong_arrows(path.read_text("utf-8"), name)
    assert not wrong, "\n".join(wrong)


def test_every_module_has_a_layer():
    units = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
    }
    assert units - {"__init__"} <= HEIGHT.keys()


def test_the_top_of_the_package_imports_nothing_of_its_own():
    assert _imported_units((PACKAGE / "__init__.py").read_text("utf-8"), "__init__.py") == []


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("models/attention.py", "from gemini_workshop.training.trainer import fit"),
        ("models/attention.py", "import gemini_workshop.cli.main as command"),
        ("models/attention.py", "from gemini_workshop import exercises"),
        ("models/attention.py", "from ..generation import cache"),
        ("models/attention.py", "from .. import generation"),
        ("models/attention.py", "def late():\n    from gemini_workshop.data import corpora"),
        ("generation/decode.py", "from gemini_workshop.training import losses"),
        ("errors.py", "from gemini_workshop.config import ModelConfig"),
        ("models/attention.py", "from gemini_workshop.helpers import shorten"),
    ],
)
def test_an_import_that_points_back_is_found(importer, source):
    assert len(wrong_arrows(source, importer)) == 1


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("models/attention.py", "import torch"),
        ("models/attention.py", "from gemini_workshop.models.masks import causal_mask"),
        ("models/attention.py", "from .masks import causal_mask"),
        ("models/attention.py", "from gemini_workshop import config"),
        ("cli/main.py", "from gemini_workshop import __version__"),
        ("cli/main.py", "from gemini_workshop.training import trainer"),
    ],
)
def test_an_import_that_points_down_is_not(importer, source):
    assert wrong_arrows(source, importer) == []
