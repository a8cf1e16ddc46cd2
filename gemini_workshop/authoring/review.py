"""What of a lesson only a reader can judge, kept as numbers and sums in ``notebooks/reviewed.json``.

A test compares the record with the lessons. Whoever changes an assertion, a hint or a number in the prose reads it once
more and runs ``gemini-workshop notebooks review``; the difference of the record shows what was accepted.
"""

import ast
import hashlib
import inspect
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gemini_workshop.authoring.cells import Cell
from gemini_workshop.authoring.prose import formulas_by_section, numbers_by_section
from gemini_workshop.authoring.source import Lesson
from gemini_workshop.exercises.core.catalogue import lessons
from gemini_workshop.exercises.core.exercise import Exercise
from gemini_workshop.exercises.core.quiz import Quiz
from gemini_workshop.files import write_atomically

RECORD = "reviewed.json"
Review = dict[str, Any]


def review(lesson: Lesson, exercises: Iterable[Exercise], quiz: Quiz | None) -> Review:
    """What a reader has to look at in one lesson.

    Returns:
        ``assertions``: how many the lesson makes, and the sum of their texts; ``numbers``: those of the prose, in
        order, by section; ``formulas``: the sum of those of each section; ``quiz``: the sum of its questions, options,
        key and replies; and for each exercise the sums of what the starter gives, of both answers (the lesson's and
        the package's), and of its hints and sentences.
    """
    found = _assertions(lesson)
    return {
        "assertions": f"{len(found)} {_sum(*found)}",
        "numbers": numbers_by_section(lesson),
        "formulas": {title: _sum(text) for title, text in formulas_by_section(lesson).items()},
        "quiz": _sum(str(quiz), *(option.reply for question in quiz.questions for option in question.options))
        if quiz
        else "",
        "exercises": {exercise.id: _exercise(lesson, exercise) for exercise in exercises},
    }


def review_of(lesson: Lesson) -> Review:
    """The review of a lesson with the exercises and the quiz that the package has for it."""
    package = lessons().get(lesson.id)
    return review(lesson, getattr(package, "EXERCISES", ()), getattr(package, "QUIZ", None))


def changes(before: Review | None, now: Review) -> Iterator[str]:
    """What differs from the record, in words."""
    if before is None:
        yield "was never reviewed"
        return
    for key, what in (("assertions", "assertions (how many, and their sum)"), ("quiz", "the quiz")):
        if before[key] != now[key]:
            yield f"{what}: {before[key] or 'none'}, now {now[key] or 'none'}"
    yield from _changed(before["numbers"], now["numbers"], "numbers of the prose in {!r}")
    yield from _changed(before.get("formulas", {}), now["formulas"], "formulas in {!r}")
    yield from _changed(before["exercises"], now["exercises"], "exercise {}")


def read_record(notebooks: Path) -> dict[str, Review]:
    """The reviews that were recorded, by lesson; none where there is no record."""
    path = notebooks / RECORD
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def write_record(notebooks: Path, reviews: dict[str, Review]) -> None:
    """Record reviews; those of other lessons stay."""
    record = dict(sorted((read_record(notebooks) | reviews).items()))
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    write_atomically(notebooks / RECORD, text.encode())


def _changed(before: dict[str, Any], now: dict[str, Any], label: str) -> Iterator[str]:
    for key in dict.fromkeys([*before, *now]):
        if before.get(key) != now.get(key):
            yield f"{label.format(key)}: {before.get(key, 'none')}, now {now.get(key, 'none')}"


def _assertions(lesson: Lesson) -> list[str]:
    code = [cell for cell in lesson.cells if cell.kind == "code"]
    nodes = ((cell, node) for cell in code for node in ast.walk(cell.tree) if isinstance(node, ast.Assert))
    return [ast.get_source_segment(cell.text, node) or "" for cell, node in nodes]


def _exercise(lesson: Lesson, exercise: Exercise) -> str:
    cells = [cell for cell in lesson.cells if _defines(cell, exercise.title)]
    given = [lesson.text(cell, "starter") for cell in cells]
    answers = [*(lesson.text(cell, "solution") for cell in cells), inspect.getsource(exercise.reference)]
    words = [*exercise.hints, *(f"{key}: {known.says}" for key, known in exercise.misconceptions.items())]
    return f"given {_sum(*given)}, answers {_sum(*answers)}, words {_sum(*words)}"


def _defines(cell: Cell, name: str) -> bool:
    return cell.kind == "code" and any(getattr(node, "name", None) == name for node in cell.tree.body)


def _sum(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:8]
