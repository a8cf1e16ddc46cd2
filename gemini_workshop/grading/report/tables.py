"""Grades as CSV: our own, and those that nbgrader, Canvas and Moodle write or read."""

import csv
import io
from collections.abc import Iterable, Sequence

from gemini_workshop.exercises.core.verdict import Outcome
from gemini_workshop.grading.gradebook import Gradebook, Row
from gemini_workshop.grading.grader import Grade
from gemini_workshop.grading.report.formats import Format

NOT_HANDED_IN = "not handed in"
BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def grades_csv(book: Gradebook) -> str:
    """A row for each learner: points, how many are possible, what to look at, and the outcome of each exercise."""
    head = ["learner", "number", "points", "max_points", "to_look_at"]
    rows = [
        [row.learner, row.number, row.points, len(book.exercises), len(row.signs) + len(row.notes)]
        + [_outcome(row.grades.get(each.id)) for each in book.exercises]
        for row in book.rows
    ]
    return _csv([[*head, *(f"{each.id} {each.title}" for each in book.exercises)], *rows])


def tables_for(book: Gradebook, format: Format) -> dict[str, str]:
    """The files for another program, by name."""
    if format == Format.moodle:
        return {f"grades_moodle_{lesson}.csv": _moodle(book, lesson) for lesson in book.lessons}
    return {f"grades_{format}.csv": _nbgrader(book) if format == Format.nbgrader else _canvas(book)}


def _nbgrader(book: Gradebook) -> str:
    """As ``nbgrader export`` writes: a row for each lesson and learner.

    Source: nbgrader, plugins/export.py, CsvExportPlugin.
    """
    head = "assignment,duedate,timestamp,student_id,last_name,first_name,email,raw_score,late_submission_penalty,score"
    rows = [
        [f"lesson_{lesson}", "", "", row.number or row.learner, "", row.learner, "", points, 0.0, points, most]
        for lesson in book.lessons
        for row in book.rows
        for points, most in [(float(row.points_of(lesson)), float(_most(book, lesson)))]
    ]
    return _csv([[*head.split(","), "max_score"], *rows])


def _canvas(book: Gradebook) -> str:
    """As Canvas exports a gradebook and imports it again: learners are found by ID."""
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *(f"Lesson {each}" for each in book.lessons)]
    possible = ["    Points Possible", "", "", "", "", *(_most(book, each) for each in book.lessons)]
    rows = [[row.learner, row.number, "", "", "", *(row.points_of(each) for each in book.lessons)] for row in book.rows]
    return _csv([head, possible, *rows])


def _moodle(book: Gradebook, lesson: str) -> str:
    """As an assignment's grading worksheet: learners are found by the identifier, which folders of submissions have."""
    head = ["Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade", "Grade can be changed"]
    more = ["Last modified (submission)", "Last modified (grade)", "Feedback comments"]
    most = _most(book, lesson)
    rows = [
        [
            f"Participant {row.number}" if row.number else "",
            row.learner,
            "",
            "Submitted for grading",
            f"{row.points_of(lesson):.2f}",
            f"{most:.2f}",
            "Yes",
            "-",
            "-",
            _comment(row, lesson),
        ]
        for row in book.rows
    ]
    return _csv([[*head, *more], *rows])


def _most(book: Gradebook, lesson: str) -> int:
    return sum(each.lesson == lesson for each in book.exercises)


def _comment(row: Row, lesson: str) -> str:
    own = [grade for grade in row.grades.values() if grade.exercise.lesson == lesson]
    return "; ".join(f"{each.exercise.id} {_outcome(each)}" for each in own) or NOT_HANDED_IN


def _outcome(grade: Grade | None) -> str:
    if grade is None:
        return NOT_HANDED_IN
    shown = str(grade.outcome)
    return f"{shown}: {grade.mistake}" if grade.mistake and grade.outcome != Outcome.PASSED else shown


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_safe(cell) for cell in row] for row in rows])
    return text.getvalue()


def _safe(cell: object) -> object:
    """A text that no spreadsheet takes for a formula."""
    is_formula = isinstance(cell, str) and len(cell) > 1 and cell.startswith(BEGINS_A_FORMULA)
    return f"'{cell}" if is_formula else cell
