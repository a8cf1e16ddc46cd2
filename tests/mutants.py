"""Break the package on purpose, one small change at a time, and see whether a test notices.

    python tests/mutants.py --count 50 --seed 7 --only sandbox --only cli

Each change (a **mutant**) is one edit of one file: an operator, a comparison, a number, a truth value, a default, an
argument or a statement that is gone. The mutants are sampled at random from all that the package offers; for each, the
tests of the matching folder run on a copy of the repository, until one fails (killed) or none does (survived). A killer
is run once on the unbroken copy as well: if it fails there, it shows nothing, and is left out from then on.

The results go to a file of JSON lines, one per mutant. The same command continues where it was stopped: it reads what
is in the file. A survivor is either a missing assertion or a change that makes no difference; its diff is printed.
"""

import argparse
import ast
import contextlib
import difflib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

TOP = Path(__file__).parents[1]
PACKAGE = "gemini_workshop"
OTHERS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
"""What each operator becomes."""

Node = ast.expr | ast.stmt | ast.keyword
OUT_OF_TIME = "out of time"
NOT_BEHAVIOUR = (ast.JoinedStr, ast.Raise, ast.Assert)
"""Texts, messages and internal assertions: nothing inside these is changed."""


@dataclass(frozen=True)
class Mutant:
    """One edit: the text from ``start`` to ``end`` of a file becomes ``new``."""

    path: str
    line: int
    kind: str
    start: int
    end: int
    new: str

    @property
    def name(self) -> str:
        """The same for the same edit of the same file."""
        return f"{self.path}:{self.line} {self.kind} {self.start}-{self.end} {self.new}"

    def applied(self, source: str) -> str:
        """The broken file."""
        return source[: self.start] + self.new + source[self.end :]


def mutants_of(path: str, source: str) -> list[Mutant]:
    """All mutants of a file; a few may compile to the same as the file."""
    places = Places(source)
    found = []
    for node, kind, new in _edits(ast.parse(source)):
        start, end = places.span(node)
        if isinstance(node, ast.keyword):
            end += source[end:].startswith(",")
        found.append(Mutant(path, node.lineno, kind, start, end, new))
    return found


def _edits(tree: ast.Module) -> Iterator[tuple[Node, str, str]]:
    """Nodes to replace, with the kind of the edit and the new text."""
    for node in _of_behaviour(tree):
        if isinstance(node, ast.Compare | ast.BinOp | ast.BoolOp):
            yield from _other_operators(node)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
            yield node, "operator gone", ast.unparse(node.operand)
        elif isinstance(node, ast.Constant):
            yield from ((node, "constant", new) for new in _other_constants(node.value))
        elif isinstance(node, ast.Call):
            yield from ((keyword, "argument gone", "") for keyword in node.keywords if keyword.arg)
        elif isinstance(node, ast.If | ast.IfExp | ast.While):
            yield node.test, "condition", f"(not ({ast.unparse(node.test)}))"
        elif isinstance(node, ast.AugAssign | ast.Delete | ast.Break | ast.Continue) or _is_call(node):
            yield node, "statement gone", "pass"
        elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
            yield node, "nothing returned", "return None"


def _of_behaviour(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below that decide what the program does: no annotations, texts, messages or decorators."""
    for child in _children(node):
        if isinstance(child, ast.Raise):
            yield ast.copy_location(ast.Expr(ast.Call(ast.Name("raise"), [], [])), child)
        if isinstance(child, NOT_BEHAVIOUR):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Call) and ast.unparse(child.func).startswith("typer."):
            continue
        yield child
        yield from _of_behaviour(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child


def _other_operators(node: ast.Compare | ast.BinOp | ast.BoolOp) -> Iterator[tuple[ast.expr, str, str]]:
    """The expression with one operator exchanged, for each of its operators."""
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            ops: list[ast.cmpop] = [*node.ops[:place], OTHERS[type(op)](), *node.ops[place + 1 :]]  # type: ignore[list-item]
            yield node, "comparison", f"({ast.unparse(ast.Compare(node.left, ops, node.comparators))})"
    elif type(node.op) in OTHERS and not _is_text(node):
        changed = ast.parse(ast.unparse(node), mode="eval").body
        changed.op = OTHERS[type(node.op)]()  # type: ignore[attr-defined]
        yield node, "operator", f"({ast.unparse(changed)})"


def _is_text(node: ast.AST) -> bool:
    """Whether an expression joins texts, or types: not arithmetic."""
    parts = [getattr(node, "left", None), getattr(node, "right", None)]
    return any(isinstance(part, ast.JoinedStr) or _is_text_constant(part) for part in parts)


def _is_text_constant(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _other_constants(value: object) -> list[str]:
    if isinstance(value, bool):
        return [repr(not value)]
    if isinstance(value, int):
        return [repr(value + 1)]
    return [repr(value * 2 if value else 1.0)] if isinstance(value, float) else []


def _is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


class Places:
    """Where the lines of a text begin, in characters."""

    def __init__(self, source: str) -> None:
        self.lines = source.splitlines(keepends=True)
        self.starts = [0, *itertools.accumulate(map(len, self.lines))]

    def span(self, node: Node) -> tuple[int, int]:
        """Where a node's text begins and ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._place(node.lineno, node.col_offset), self._place(node.end_lineno, node.end_col_offset)

    def _place(self, line: int, column: int) -> int:
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())


def _differs(source: str, broken: str) -> bool:
    try:
        return ast.dump(ast.parse(source)) != ast.dump(ast.parse(broken))
    except SyntaxError:
        return False


def sample(count: int, seed: int, only: list[str]) -> list[Mutant]:
    """Mutants of the package at random; a file counts by the number of its mutants."""
    found: list[Mutant] = []
    sources = {}
    for file in sorted((TOP / PACKAGE).rglob("*.py")):
        path = file.relative_to(TOP).as_posix()
        if not only or any(word in Path(path).with_suffix("").parts for word in only):
            sources[path] = file.read_text("utf-8")
            found += mutants_of(path, sources[path])
    random.Random(seed).shuffle(found)
    real = (each for each in found if _differs(sources[each.path], each.applied(sources[each.path])))
    return list(itertools.islice(real, count))


def tests_for(path: str) -> list[list[str]]:
    """The tests of a module in three helpings: of its name, in the matching folder, elsewhere if they import it."""
    module = Path(path).relative_to(PACKAGE).with_suffix("")
    unit = module.parent if module.name == "__init__" else module
    folder = next(place for place in (TOP / "tests" / parent for parent in unit.parents) if place.is_dir())
    names = {f"test_{unit.name}", f"test_{unit.parent.name}"}
    dotted, short = ".".join((PACKAGE, *unit.parts)), f"from {'.'.join((PACKAGE, *unit.parts[:-1]))} import "
    uses = re.compile(rf"{re.escape(dotted)}\b|{re.escape(short)}[^\n]*\b{unit.name}\b")
    helpings: list[list[str]] = [[], [folder.relative_to(TOP).as_posix()] if folder != TOP / "tests" else [], []]
    for test in sorted((TOP / "tests").rglob("test_*.py")):
        if test.parent == folder and test.stem in names:
            helpings[0].append(test.relative_to(TOP).as_posix())
        elif uses.search(test.read_text("utf-8")):
            helpings[0 if test.parent == folder != TOP / "tests" else 2].append(test.relative_to(TOP).as_posix())
    return [helping for helping in helpings if helping]


class Bench:
    """A copy of the repository to break."""

    def __init__(self, seconds: float) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        self.seconds = seconds
        self.useless: set[str] = set()
        self.useful: set[str] = set()
        files = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, check=True, capture_output=True, text=True).stdout
        for name in filter(None, files.split("\0")):
            if (TOP / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(TOP / name, self.folder / name)

    def fate(self, mutant: Mutant) -> tuple[str, str]:
        """Killed, survived or undecided (out of time), and by what."""
        until = time.monotonic() + self.seconds
        for tests in tests_for(mutant.path):
            if killer := self._killer(mutant, tests, until):
                return ("undecided", "") if killer == OUT_OF_TIME else ("killed", killer)
        return "survived", ""

    def _killer(self, mutant: Mutant, tests: list[str], until: float) -> str:
        """The first test that fails with the mutant and passes without it; empty if there is none."""
        while True:
            with self._broken(mutant):
                killer = self._first_failure(tests, until)
            if killer in ("", OUT_OF_TIME) or killer in self.useful:
                return killer
            if killer not in self.useless and not self._first_failure([killer], time.monotonic() + self.seconds):
                self.useful.add(killer)
                return killer
            self.useless.add(killer)

    @contextlib.contextmanager
    def _broken(self, mutant: Mutant) -> Iterator[None]:
        file = self.folder / mutant.path
        source = file.read_text("utf-8")
        file.write_text(mutant.applied(source), "utf-8")
        try:
            yield
        finally:
            file.write_text(source, "utf-8")

    def _first_failure(self, tests: list[str], until: float) -> str:
        """The name of the first test that fails, or of the file that cannot be read; empty if all pass."""
        left = until - time.monotonic()
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-n", "0", "--timeout", "100"]
        command += [f"--deselect={name}" for name in sorted(self.useless)] + ["-rfE", *tests]
        variables = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            run = subprocess.run(
                command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=max(left, 1)
            )
        except subprocess.TimeoutExpired:
            return OUT_OF_TIME
        if run.returncode in (0, 5):
            return ""
        blamed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", run.stdout, re.MULTILINE)
        return blamed[1] if blamed else f"pytest ended with {run.returncode}"

    def difference(self, mutant: Mutant) -> str:
        """The edit as a diff, without context."""
        source = (self.folder / mutant.path).read_text("utf-8")
        lines = difflib.unified_diff(source.splitlines(), mutant.applied(source).splitlines(), lineterm="", n=0)
        return "\n".join(line for line in lines if not line.startswith(("---", "+++")))

    def close(self) -> None:
        """Delete the copy."""
        shutil.rmtree(self.folder)


def report(results: list[dict[str, str]]) -> str:
    """Killed and survived per part of the package, then each survivor with its diff."""
    counts: dict[str, Counter[str]] = {}
    for each in results:
        part = Path(each["path"]).parts[1]
        counts.setdefault(part, Counter())[each["fate"]] += 1
    lines = [f"{part:16}{fates['killed']:4} of {fates.total()} killed" for part, fates in sorted(counts.items())]
    for each in results:
        if each["fate"] != "killed":
            lines += ["", f"{each['fate']}: {each['path']}:{each['line']} ({each['kind']})", each["diff"]]
    return "\n".join(lines)


def main() -> None:
    """Sample, break, test and report."""
    parser = argparse.ArgumentParser(description="Break the package on purpose and see whether a test notices.")
    parser.add_argument("--count", type=int, default=20, help="mutants to sample")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="another seed is another sample")
    parser.add_argument("--only", action="append", default=[], help="a folder or module; may be repeated")
    parser.add_argument("--seconds", type=float, default=600.0, help="the most that one mutant may take")
    parser.add_argument("--results", type=Path, default=None, help="a file of results; an existing one is continued")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the tests that run are ended, too
    file = options.results or Path(tempfile.gettempdir(), f"mutants-{options.seed}.jsonl")
    results = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    done = {each["name"] for each in results}
    print(f"Seed {options.seed}. Results: {file}", flush=True)
    bench = Bench(options.seconds)
    try:
        for mutant in sample(options.count, options.seed, options.only):
            if mutant.name in done:
                continue
            fate, killer = bench.fate(mutant)
            result = {
                **asdict(mutant),
                "name": mutant.name,
                "fate": fate,
                "killer": killer,
                "diff": bench.difference(mutant),
            }
            results.append(result)
            with file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(result) + "\n")
            print(f"{fate:10}{mutant.path}:{mutant.line} {mutant.kind}", flush=True)
    finally:
        bench.close()
    print("\n" + report(results))


if __name__ == "__main__":
    main()
