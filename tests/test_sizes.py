"""Files and functions small enough to keep in the head. What is too long today is listed, and the lists only shrink."""

import ast
from pathlib import Path
from statistics import median

import pytest

import gemini_workshop

PACKAGE = Path(gemini_workshop.__file__).parent
FILE_LINES, FUNCTION_LINES, MEDIAN_LINES = 300, 60, 8
LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}


def functions_in(source: str) -> list[tuple[str, int]]:
    """Name and lines of every function in a source text, from its ``def`` to its end, docstring included."""
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [(node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in nodes]


def excesses(sizes: dict[str, int], limit: int, listed: dict[str, int]) -> list[str]:
    """A sentence for each size above the limit that is not listed, and for each listed size that is out of date."""
    found = [
        f"{name} has {lines} lines, more than {listed.get(name, limit)}: find the idea that has no name yet"
        for name, lines in sizes.items()
        if lines > listed.get(name, limit)
    ]
    for name, lines in listed.items():
        now = sizes.get(name, 0)
        if now < lines:
            found.append(f"{name} has {now} lines, not {lines}: " + (f"list {now}" if now > limit else "remove it"))
    return found


@pytest.fixture(scope="module")
def sources():
    return {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


@pytest.fixture(scope="module")
def function_sizes(sources):
    sizes: dict[str, int] = {}
    for path, text in sources.items():
        for name, lines in functions_in(text):
            key = f"{path} {name}"
            sizes[key] = max(lines, sizes.get(key, 0))
    return sizes


def test_no_file_is_too_long(sources):
    sizes = {path: len(text.splitlines()) for path, text in sources.items()}
    assert excesses(sizes, FILE_LINES, LONG_FILES) == []


def test_no_function_is_too_long(function_sizes):
    assert excesses(function_sizes, FUNCTION_LINES, LONG_FUNCTIONS) == []


def test_half_of_all_functions_are_short(sources):
    lines = [lines for text in sources.values() for _, lines in functions_in(text)]
    assert median(lines) <= MEDIAN_LINES


def test_a_function_is_measured_from_its_def_to_its_end():
    source = "@decorated\ndef f():\n    '''Doc.'''\n\n    return 1\n\n\nclass C:\n    async def g(self): ...\n"
    assert functions_in(source) == [("f", 4), ("g", 1)]


@pytest.mark.parametrize(
    ("size", "listed", "says"),
    [
        (301, {}, "more than 300"),
        (400, {"x": 350}, "more than 350"),
        (340, {"x": 350}, "list 340"),
        (9, {"x": 350}, "remove it"),
    ],
)
def test_a_size_that_grew_and_a_list_that_did_not_shrink_are_found(size, listed, says):
    (sentence,) = excesses({"x": size}, 300, listed)
    assert says in sentence


@pytest.mark.parametrize(("size", "listed"), [(300, {}), (350, {"x": 350})])
def test_a_size_within_its_budget_is_not(size, listed):
    assert excesses({"x": size}, 300, listed) == []
