"""What the decks cite: minutes, answers, mistakes, and what a lesson prints. Each is read where it is defined."""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from gemini_workshop.authoring.slides.fitting import READABLE_POINTS
from gemini_workshop.authoring.source import Lesson, find_sources, read_lesson
from gemini_workshop.exercises.core.catalogue import all_exercises, lessons
from gemini_workshop.exercises.core.exercise import Exercise
from gemini_workshop.visualization import theme

PALETTE = ("BLUE", "ORANGE", "GREEN", "RED", "PURPLE", "SKY", "GREY")
LONGEST_LINE = 81  # characters that fit on a slide at its smallest size
BREAKS_AFTER = ",+-*/|"
COMMENT = re.compile(r"^\s*#.*\n?", re.MULTILINE)


def all_facts(notebooks: Path) -> dict[str, Any]:
    """Everything that a deck may cite, as plain data: colors, lessons and exercises by their ids."""
    read = [read_lesson(path) for path in find_sources(notebooks)]
    answers = {name: answer for lesson in read for name, answer in answers_of(lesson).items()}
    return {
        "colors": colors(),
        "syntax": syntax(),
        "smallest": READABLE_POINTS,
        "lessons": {lesson.id: _lesson(lesson, notebooks) for lesson in read},
        "exercises": {name: _exercise(one, answers.get(name, "")) for name, one in all_exercises().items()},
        "quizzes": {name: _quiz(package.QUIZ) for name, package in lessons().items() if hasattr(package, "QUIZ")},
    }


def colors() -> dict[str, str]:
    """The palette of the figures; the ink of a color is what text on white has."""
    palette = {name.lower(): getattr(theme, name) for name in PALETTE}
    return palette | {f"{name}-ink": theme.ink(color) for name, color in palette.items()} | {"text": theme.BLACK}


def syntax() -> str:
    """The colors of code, inks of the palette, as a theme that Typst reads."""
    inks = {"keyword, storage": theme.BLUE, "string": theme.GREEN, "constant": theme.RED, "comment": theme.GREY}
    rules = "".join(
        f"<dict><key>scope</key><string>{scope}</string><key>settings</key>"
        f"<dict><key>foreground</key><string>{theme.ink(color)}</string></dict></dict>"
        for scope, color in inks.items()
    )
    plain = f"<dict><key>settings</key><dict><key>foreground</key><string>{theme.BLACK}</string></dict></dict>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>name</key><string>workshop</string>'
        f"<key>settings</key><array>{plain}{rules}</array></dict></plist>"
    )


def answers_of(lesson: Lesson) -> dict[str, str]:
    """The answer of each exercise as the lesson's source has it: names without their types, no docstrings, no steps."""
    answers: dict[str, list[str]] = {}
    for cell in lesson.cells:
        for region in cell.regions if cell.kind == "code" else ():
            head = _head(cell.tree, region.name)
            body = textwrap.dedent(COMMENT.sub("", "\n".join(region.lines)))
            given = _given(cell.text.splitlines(), cell.tree, region.name, region.first)
            lines = f"{head}\n{textwrap.indent(given + body.strip(), '    ')}".splitlines()
            folded = "\n".join(part for line in lines for part in fold(line))
            answers.setdefault(lesson.exercise_of(cell, region), []).append(folded)
    return {name: "\n\n".join(parts) for name, parts in answers.items()}


def fold(line: str, depth: int = 0) -> list[str]:
    """A line of code that is too wide for a slide, broken inside brackets after a comma or an operator."""
    places: dict[int, int] = {}
    for i, sign in enumerate(line[:LONGEST_LINE]):
        depth += (sign in "([{") - (sign in ")]}")
        if sign in BREAKS_AFTER and depth > 0 and line[i + 1 : i + 2] == " ":
            places[i + 1] = depth
    if len(line) <= LONGEST_LINE or not places:
        return [line]
    outermost = min(places.values())
    at = max(place for place in places if places[place] == outermost)
    indent = len(line) - len(line.lstrip()) + 4 * (2 if line.lstrip().startswith("def ") else 1)
    return [line[:at], *fold(" " * indent + line[at:].lstrip(), outermost)]


def _head(tree: ast.Module, name: str) -> str:
    """The first line of a function or method, without annotations."""
    function = _find(tree, name)
    arguments = function.args
    for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        one.annotation = None
    return f"def {function.name}({ast.unparse(arguments)}):"


def _given(lines: list[str], tree: ast.Module, name: str, first: int) -> str:
    """What a function's text gives before the gap, but for its docstring."""
    function = _find(tree, name)
    start = next((one.lineno - 1 for one in function.body if not _is_docstring(one)), first)
    return COMMENT.sub("", textwrap.dedent("".join(f"{line}\n" for line in lines[start:first])))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _find(tree: ast.Module, name: str) -> ast.FunctionDef:
    scope: Any = tree
    for part in name.split("."):
        scope = next(node for node in scope.body if getattr(node, "name", "") == part)
    return scope


def _lesson(lesson: Lesson, notebooks: Path) -> dict[str, Any]:
    solution = nbformat.read(notebooks / lesson.files["solution"], as_version=4)
    return {
        "title": lesson.header.title,
        "minutes": lesson.header.minutes,
        "file": lesson.path.stem,
        "printed": "\n".join(_printed(solution)),
    }


def _printed(notebook: nbformat.NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            yield output.get("text", "").rstrip("\n")


def _exercise(exercise: Exercise, answer: str) -> dict[str, Any]:
    return {
        "name": exercise.title,
        "minutes": exercise.minutes,
        "answer": answer,
        "hint": exercise.hints[0],
        "mistakes": [{"name": name, "says": one.says} for name, one in exercise.misconceptions.items()],
    }


def _quiz(quiz: Any) -> list[dict[str, Any]]:
    return [
        {"asks": one.text, "options": [{"text": o.text, "says": o.reply, "right": o.is_right} for o in one.options]}
        for one in quiz.questions
    ]
