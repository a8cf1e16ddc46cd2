"""What a lesson source must not contain, found without running it; each problem with its file and line."""

import ast
import importlib.util
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from gemini_workshop.authoring.build import ABSOLUTE_PATH
from gemini_workshop.authoring.cells import Cell, Region, SourceError
from gemini_workshop.authoring.leaks import leaks
from gemini_workshop.authoring.source import Lesson

TAGS = {"starter-only", "solution-only", "check", "expected", "rounded", "slow", "gpu"}
# Calls whose value is of no interest and prints a memory address, by the object they are called on.
DRAWING = {"plt", "ax", "axes", "axis", "sns", "fig", "figure"}


def problems(lessons: Collection[Lesson], exercise_ids: Collection[str]) -> list[str]:
    """Everything wrong with the sources, as ``file:line: sentence``.

    Args:
        exercise_ids: the exercises that exist.
    """
    found: list[SourceError] = []
    owner: dict[str, Cell] = {}
    for lesson in lessons:
        for cell in lesson.cells:
            try:
                found += _cell_problems(lesson, cell)
                found += _check_problems(cell, exercise_ids, owner)
            except SourceError as error:
                found.append(error)
    return [str(error) for error in sorted(found, key=lambda error: error.place)]


def unchecked(lessons: Collection[Lesson], exercise_ids: Collection[str]) -> list[str]:
    """The exercises of these lessons that no check cell checks."""
    taught = {lesson.id for lesson in lessons}
    checked = {call.exercise_id for lesson in lessons for call in lesson.checks if call.keeps}
    missing = [key for key in exercise_ids if key.split(".")[0] in taught and key not in checked]
    return [f"exercise {key!r} is checked in no lesson." for key in missing]


def _cell_problems(lesson: Lesson, cell: Cell) -> Iterator[SourceError]:
    for tag in sorted(cell.tags - TAGS):
        yield cell.error(-1, f"unknown tag {tag!r}; known: {', '.join(sorted(TAGS))}.")
    for i, line in enumerate(cell.text.splitlines()):
        if ABSOLUTE_PATH.search(line):
            yield cell.error(i, "an absolute path, which no other machine has.")
    if cell.kind == "markdown":
        if cell.tags:
            yield cell.error(-1, "tags belong to code cells.")
        return
    if ("check" in cell.tags) != bool(cell.checks):
        yield cell.error(-1, "cells that call check(...) carry the tag check, and only they do.")
    for region in cell.regions:
        if region.name and not lesson.exercise_of(cell, region):
            yield cell.error(region.first, f"no check follows this gap in {region.name}.")
        if region.name and _goes_on(cell, region):
            yield cell.error(region.last, f"the gap must be the end of {region.name}: its `raise` hides what follows.")
    yield from leaks(lesson, cell)
    yield from _last_line_problems(lesson, cell)
    yield from _import_problems(cell)


def _goes_on(cell: Cell, region: Region) -> bool:
    """Whether the function that holds a gap has lines below it, which a starter never reaches."""
    below = cell.text.splitlines()[region.last + 1 :]
    line = next((line for line in below if line.strip()), "")
    return line.startswith(region.indent)


def _check_problems(cell: Cell, exercise_ids: Collection[str], owner: dict[str, Cell]) -> Iterator[SourceError]:
    for call in cell.checks:
        if call.exercise_id not in exercise_ids:
            yield cell.error(call.line, f"there is no exercise {call.exercise_id!r} in gemini_workshop.exercises.")
        if call.keeps and owner.setdefault(call.exercise_id, cell) is not cell:
            first = owner[call.exercise_id]
            place = f"{first.path.name}:{first.line}"
            yield cell.error(call.line, f"exercise {call.exercise_id!r} is already checked in {place}.")


def _last_line_problems(lesson: Lesson, cell: Cell) -> Iterator[SourceError]:
    """A last line whose value prints as <... at 0x7f...>. What this misses, the build finds in the outputs."""
    if not cell.tree.body or not isinstance(last := cell.tree.body[-1], ast.Expr) or cell.text.rstrip().endswith(";"):
        return
    value = last.value
    prints_address = isinstance(value, ast.Lambda)
    if isinstance(value, ast.Name):
        prints_address = value.id in _definitions(lesson)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        target = value.func.value
        while isinstance(target, ast.Subscript | ast.Attribute):
            target = target.value
        is_drawing = isinstance(target, ast.Name) and target.id in DRAWING and value.func.attr != "show"
        prints_address = is_drawing or value.func.attr == "manual_seed"
    if prints_address:
        yield cell.error(last.lineno - 1, "the last line prints an object's memory address; end it with a semicolon.")


def _definitions(lesson: Lesson) -> set[str]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    trees = (cell.tree for cell in lesson.cells if cell.kind == "code")
    return {node.name for tree in trees for node in tree.body if isinstance(node, kinds)}


def _import_problems(cell: Cell) -> Iterator[SourceError]:
    for node in ast.walk(cell.tree):
        match node:
            case ast.Import(names=names):
                wanted = [(alias.name, None) for alias in names]
            case ast.ImportFrom(module=str(module), names=names):
                wanted = [(module, alias.name) for alias in names]
            case _:
                continue
        for module, name in wanted:
            if name == "*":
                yield cell.error(node.lineno - 1, f"name what you need from {module} instead of `*`.")
            elif not _exists(module, name):
                yield cell.error(node.lineno - 1, f"there is no {'.'.join(filter(None, (module, name)))} to import.")


@cache
def _exists(module: str, name: str | None) -> bool:
    """Whether an import would work. Only our own modules are looked into, and none is run."""
    root = module.partition(".")[0]
    if root != "gemini_workshop":
        return importlib.util.find_spec(root) is not None
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return False
    if spec is None or spec.origin is None or name is None:
        return spec is not None
    return name in _top_level_names(ast.parse(Path(spec.origin).read_text("utf-8"))) or (
        bool(spec.submodule_search_locations) and importlib.util.find_spec(f"{module}.{name}") is not None
    )


def _top_level_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
            case ast.Assign() | ast.AnnAssign():
                names |= {
                    part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
                }
    return names
