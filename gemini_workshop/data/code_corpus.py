"""Python source files to training documents: whole modules, and pairs of docstring and function.

A pair is an exercise: the problem is the head of a function with its docstring, the solution is its body.
Joined, they are the function again.
"""

import ast
import hashlib
import io
import textwrap
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gemini_workshop.data.corpora.python_library import python_files
from gemini_workshop.data.preprocessing.deduplication import MinHash, NearDuplicateIndex
from gemini_workshop.data.preprocessing.report import Report

DUPLICATE_SIMILARITY = 0.8


class Module(NamedTuple):
    """A source file that parses; ``name`` is its path below the folder it was found in."""

    name: str
    source: str


class CodePair(NamedTuple):
    """A function in two parts; ``name`` is its place: "module.py:Class.function"."""

    name: str
    problem: str
    solution: str


def code_modules(folder: str | Path, report: Report) -> Iterator[Module]:
    """The modules below a folder that parse, each once; the report counts the others."""
    folder = Path(folder)
    seen: set[bytes] = set()
    minhash, index = MinHash(), NearDuplicateIndex()
    for path in python_files(folder):
        source, fault = read_source(path)
        report.read(source)
        if not fault and (digest := _digest(source)) in seen:
            fault = "exact duplicate"
        if not fault:
            seen.add(digest)
            signature = minhash.signature(source)
            if index.neighbours(signature, DUPLICATE_SIMILARITY):
                fault = "near-duplicate"
        if fault:
            report.drop(source, fault)
            continue
        index.add(signature)
        report.keep(source, "code")
        yield Module(path.relative_to(folder).as_posix(), source)


def read_source(path: Path) -> tuple[str, str]:
    """The text of a file, in the encoding that it declares, and what is wrong with it ("" if nothing is)."""
    try:
        with tokenize.open(path) as file:
            source = file.read()
    except (SyntaxError, UnicodeDecodeError, OSError):
        return "", "cannot be decoded"
    if not source.strip():
        return source, "empty"
    return source, "" if parse(source) else "does not parse"


def parse(source: str) -> ast.Module | None:
    """The syntax tree; None if this Python cannot read the source."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" and the like, which the source's own author should be told
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def code_pairs(modules: Iterable[Module], min_body_lines: int = 2) -> Iterator[CodePair]:
    """The functions with a docstring, split after it; each body once, and none that only passes or raises."""
    seen: set[bytes] = set()
    for module in modules:
        lines = io.StringIO(module.source).readlines()  # at the line ends that Python knows; a form feed is none
        for name, function in _functions(parse(module.source), ""):
            pair = _split(f"{module.name}:{name}", function, lines)
            if pair is None or pair.solution.count("\n") < min_body_lines:
                continue
            if (digest := _digest(pair.problem + pair.solution)) not in seen:
                seen.add(digest)
                yield pair


Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(node: ast.AST | None, prefix: str) -> Iterator[tuple[str, Function]]:
    """All functions and methods, with their dotted names; those within functions are part of them."""
    for child in ast.iter_child_nodes(node) if node else ():
        if isinstance(child, Function):
            yield prefix + child.name, child
        else:
            yield from _functions(child, f"{prefix}{child.name}." if isinstance(child, ast.ClassDef) else prefix)


def _split(name: str, function: Function, lines: list[str]) -> CodePair | None:
    """Split a function after its docstring; None if it has none, does nothing, or does not parse by itself."""
    if ast.get_docstring(function) is None or _does_nothing(function):
        return None
    first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)]) - 1
    docstring_end, last = function.body[0].end_lineno or 0, function.end_lineno or 0
    text = textwrap.dedent("".join(lines[first:last])).rstrip("\n") + "\n"
    dedented = io.StringIO(text).readlines()
    problem, solution = dedented[: docstring_end - first], dedented[docstring_end - first :]
    if parse("".join(problem)) is None or parse(text) is None:
        return None
    return CodePair(name, "".join(problem), "".join(solution))


def _does_nothing(function: Function) -> bool:
    """Whether only pass, ... and raise follow the docstring."""
    rest = function.body[1:]
    return all(isinstance(node, ast.Pass | ast.Raise) or _is_constant(node) for node in rest)


def _is_constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _digest(source: str) -> bytes:
    return hashlib.sha256(source.encode("utf-8", errors="replace")).digest()
