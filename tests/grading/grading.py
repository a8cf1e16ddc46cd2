"""Grade a folder of generated submissions in one run, and compare everything with what was expected."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from gemini_workshop.grading.gradebook import Gradebook, grade_all
from gemini_workshop.grading.grader import Grader
from gemini_workshop.grading.submissions import find_submissions
from tests.grading.handed_in import TITLES, HandedIn

COPIED = "same to the letter"  # many of these are, on purpose


def graded(folder: Path, seconds: float, workers: int = 1) -> Gradebook:
    """The room that a folder holds."""
    return grade_all(find_submissions(folder), lambda: Grader(seconds=seconds), lessons=["02"], workers=workers)


def differences(book: Gradebook, handed_in: dict[str, HandedIn]) -> Iterator[str]:
    """Whatever the grader says otherwise than it should."""
    rows = {row.learner: row for row in book.rows}
    for name, expected in handed_in.items():
        row = rows[name]
        outcomes = tuple(str(row.grades[each].outcome) for each in sorted(row.grades))
        if outcomes != expected.outcomes:
            yield f"{name}: {dict(zip(TITLES, outcomes, strict=False))}, {[each.lines for each in row.grades.values()]}"
        read = "\n".join(line for grade in row.grades.values() for line in grade.lines)
        notes = [note for note in row.notes if COPIED not in note or COPIED in expected.signs]
        looked_at = "\n".join([*map(str, row.signs), *notes])
        for exercise_id, mistake in expected.mistakes.items():
            if mistake != (named := row.grades[exercise_id].mistake):
                yield f"{name}: the mistake in {exercise_id} is called {named!r}, not {mistake!r}"
        yield from (
            f"{name}: its learner does not read {text!r} in {read!r}" for text in expected.says if text not in read
        )
        yield from (
            f"{name}: nobody reads {text!r} in {looked_at!r}" for text in expected.signs if text not in looked_at
        )
        if looked_at and not expected.signs:
            yield f"{name}: nothing is odd, but {looked_at!r}"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def own_processes() -> set[int]:
    """The processes that descend from this one."""
    return {each.pid for each in psutil.Process(os.getpid()).children(recursive=True)}
