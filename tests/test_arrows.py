"""Imports point one way: from ``cli`` down to ``errors``, inside a unit too, and never in a circle."""

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

import gemini_workshop
from gemini_workshop.authoring.architecture import LAYERS

PACKAGE = Path(gemini_workshop.__file__).parent
HEIGHT = {unit: height for height, layer in enumerate(LAYERS) for unit in layer} | {"__main__": len(LAYERS)}
Graph = dict[str, set[str]]


def wrong_arrows(source: str, importer: str) -> list[str]:
    """Every import in the source text of the module ``importer`` ("models/attention.py") that points back."""
    home = importer.split("/")[0].removesuffix(".py")
    wrong = []
    for unit in dict.fromkeys(module.split(".")[0] for module in imported_modules(source, importer)):
        if unit not in HEIGHT:
            wrong.append(f"{importer} imports {unit}, which has no layer: give it one in LAYERS")
        elif unit != home and HEIGHT[unit] >= HEIGHT[home]:
            wrong.append(f"{importer} imports {unit}: not allowed")
    return wrong


def imported_modules(source: str, importer: str) -> list[str]:
    """What the source imports of gemini_workshop, wherever in the file: ``models.masks``, ``models.masks.causal_mask``.

    Imports for type checkers alone do not count: they are never executed.
    """
    found = []
    for node in _executed(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, importer)
            found += [f"{base}.{alias.name}" for alias in node.names if not alias.name.startswith("__")]
    return [name.removeprefix("gemini_workshop.") for name in found if name.startswith("gemini_workshop.")]


def _executed(tree: ast.AST) -> Iterable[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from _executed(node)


def _absolute(node: ast.ImportFrom, importer: str) -> str:
    if not node.level:
        return node.module or ""
    here = ["gemini_workshop", *Path(importer).parent.parts]
    return ".".join([*here[: len(here) - node.level + 1], *([node.module] if node.module else [])])


def graph_of(sources: dict[str, str]) -> Graph:
    """Which module imports which, from source texts by path ("models/masks.py")."""
    names = {_name(path): path for path in sources}
    graph: Graph = {}
    for name, path in names.items():
        imported = (_longest_known(module, names) for module in imported_modules(sources[path], path))
        graph[name] = {module for module in imported if module not in (None, name)}
    return graph


def _name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _longest_known(module: str, names: Iterable[str]) -> str | None:
    while module and module not in names:
        module = module.rpartition(".")[0]
    return module or None


def rooms_of(graph: Graph) -> Graph:
    """The same arrows between rooms: a folder inside a unit is one room, and so is each file beside it."""
    rooms: Graph = {}
    for name, imported in graph.items():
        rooms.setdefault(_room(name), set()).update(_room(other) for other in imported if _room(other) != _room(name))
    return rooms


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def circle_in(graph: Graph) -> list[str]:
    """The modules of one circle, in the order of its arrows; empty if there is none."""
    done: set[str] = set()

    def search(path: list[str]) -> list[str]:
        for other in sorted(graph.get(path[-1], ())):
            if other in path:
                return path[path.index(other) :]
            if other not in done and (circle := search([*path, other])):
                return circle
        done.add(path[-1])
        return []

    return next((circle for name in sorted(graph) if name not in done and (circle := search([name]))), [])


@pytest.fixture(scope="module")
def sources():
    return {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


def test_no_import_points_back(sources):
    wrong = [line for name, text in sources.items() if name != "__init__.py" for line in wrong_arrows(text, name)]
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module")
def graph(sources):
    return graph_of(sources)


def test_no_modules_import_each_other_in_a_circle(graph):
    assert circle_in(graph) == []


def test_no_rooms_import_each_other_in_a_circle(graph):
    assert circle_in(rooms_of(graph)) == []


def test_every_module_has_a_layer_and_every_layer_a_module():
    units = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
    }
    assert units - {"__init__"} == HEIGHT.keys()


def test_the_top_of_the_package_imports_nothing_of_its_own(sources):
    assert imported_modules(sources["__init__.py"], "__init__.py") == []


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("models/attention.py", "from gemini_workshop.training.loop import fit"),
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
        ("models/attention.py", "if TYPE_CHECKING:\n    from gemini_workshop.cli import main"),
        ("cli/main.py", "from gemini_workshop import __version__"),
        ("cli/main.py", "from gemini_workshop.training import loop"),
    ],
)
def test_an_import_that_points_down_is_not(importer, source):
    assert wrong_arrows(source, importer) == []


@pytest.mark.parametrize(
    ("sources", "circle"),
    [
        ({"a/x.py": "from gemini_workshop.a import y", "a/y.py": "from gemini_workshop.a.x import f"}, ["a.x", "a.y"]),
        ({"a/x.py": "from gemini_workshop.a.y import f", "a/y.py": "def g():\n    from .x import f"}, ["a.x", "a.y"]),
        ({"a/__init__.py": "from .x import f", "a/x.py": "from gemini_workshop import a"}, ["a", "a.x"]),
        ({"a/x.py": "from .y import f", "a/y.py": "from .z import f", "a/z.py": "import torch"}, []),
    ],
)
def test_a_circle_is_found_where_there_is_one(sources, circle):
    assert circle_in(graph_of(sources)) == circle


def test_rooms_that_import_each_other_are_found_though_no_two_modules_do():
    graph = graph_of(
        {"a/b/x.py": "from ..c import y", "a/c/y.py": "", "a/c/z.py": "from ..b import w", "a/b/w.py": "import os"}
    )
    assert circle_in(graph) == []
    assert circle_in(rooms_of(graph)) == ["a.b", "a.c"]
