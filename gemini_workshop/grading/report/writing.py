"""Write everything about a graded room into one folder."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from gemini_workshop.exercises.core.verdict import SYMBOLS
from gemini_workshop.files import write_result
from gemini_workshop.grading.gradebook import Gradebook, Row
from gemini_workshop.grading.report.formats import Format
from gemini_workshop.grading.report.pages import instructor_page, learner_page
from gemini_workshop.grading.report.tables import grades_csv, tables_for
from gemini_workshop.visualization.classroom import exercise_heat_map
from gemini_workshop.visualization.showing import png

INDEX, HEAT_MAP, GRADES, FEEDBACK = "index.html", "heat_map.png", "grades.csv", "feedback"


def write_report(book: Gradebook, folder: Path, formats: Sequence[Format] = ()) -> list[Path]:
    """Write tables, heat map and pages; return the paths, the instructor's page first.

    Raises:
        WorkshopError: the folder cannot be written.
    """
    names = _file_names(book.rows)
    pages = {learner: f"{FEEDBACK}/{name}" for learner, name in names.items()}
    contents: dict[str, bytes] = {INDEX: instructor_page(book, pages, HEAT_MAP).encode(errors="replace")}
    contents[GRADES] = grades_csv(book).encode(errors="replace")
    contents[HEAT_MAP] = _heat_map(book)
    for format in formats:
        contents |= {name: text.encode(errors="replace") for name, text in tables_for(book, format).items()}
    for row in book.rows:
        contents[pages[row.learner]] = learner_page(row, book).encode(errors="replace")
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_result(folder / name, content)
    return [folder / name for name in contents]


def _heat_map(book: Gradebook) -> bytes:
    outcomes = [
        [str(row.grades[each.id].outcome) if each.id in row.grades else "" for row in book.rows]
        for each in book.exercises
    ]
    symbols = {str(outcome): symbol for outcome, symbol in SYMBOLS.items()}
    names = [f"{each.id} {each.title}" for each in book.exercises]
    return png(exercise_heat_map(names, [row.learner for row in book.rows], outcomes, symbols))


def _file_names(rows: list[Row]) -> dict[str, str]:
    """A name of plain letters for each learner's page; no two are the same on any disk."""
    names: dict[str, str] = {}
    for row in rows:
        plain = unicodedata.normalize("NFKD", row.learner).encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "learner"
        taken = set(names.values())
        number = next(n for n in range(1, len(rows) + 2) if _numbered(name, n) not in taken)
        names[row.learner] = _numbered(name, number)
    return names


def _numbered(name: str, number: int) -> str:
    return f"{name}.html" if number == 1 else f"{name}-{number}.html"
