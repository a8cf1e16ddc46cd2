"""A room is graded in one run: the quick version of ``make grading``, whose findings many tests look at."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from gemini_workshop.grading.report.formats import Format
from gemini_workshop.grading.report.tables import tables_for
from gemini_workshop.grading.report.writing import write_report
from tests.evaluation.sandbox.isolation import why_not_isolated
from tests.grading.grading import contents, differences, graded, own_processes
from tests.grading.handed_in import quick, write

pytestmark = pytest.mark.skipif(bool(why_not_isolated()), reason="programs cannot be isolated on this machine")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("room")


@pytest.fixture(scope="module")
def handed_in(place):
    return quick()


@pytest.fixture(scope="module")
def book(place, handed_in):
    """The room, after one run."""
    write(handed_in, place / "in")
    before, processes = contents(place / "in"), own_processes()
    book = graded(place / "in", seconds=20.0)
    assert contents(place / "in") == before
    assert own_processes() <= processes, "a process is left"
    return book


@pytest.fixture(scope="module")
def report(book, place):
    return {path.name: path for path in write_report(book, place / "out", list(Format))}


def test_each_submission_is_graded_right(book, handed_in):
    assert list(differences(book, handed_in)) == []
    assert book.is_isolated


def test_the_table_has_a_row_for_each_learner_and_a_column_for_each_exercise(book, report):
    rows = list(csv.DictReader(io.StringIO(report["grades.csv"].read_text("utf-8"))))
    assert [row["learner"] for row in rows] == [row.learner for row in book.rows]
    points = {row["learner"]: (row["points"], row["max_points"]) for row in rows}
    assert points["saved_by_colab"] == ("4", "4")
    assert points["damaged"] == ("0", "4")
    mixed = next(row for row in rows if row["learner"] == "tampered")
    assert mixed["02.1 softmax"] == "wrong answer: forged verdict"
    assert mixed["02.3 causal_mask"] == "wrong answer: right for the known numbers only"


def test_a_learner_reads_the_mistake_by_name_their_own_line_and_a_hint(report):
    page = report["mistaken.html"].read_text("utf-8")
    assert "<strong>not scaled</strong>" in page
    assert "√head_dim" in page
    assert re.search(r"<mark>.*def additive_mask", page), "the line of the error is marked"
    assert "<summary>A hint</summary>" in page


def test_a_name_is_text_and_not_a_page(report):
    page = report["index.html"].read_text("utf-8")
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert not any("<img src=x" in path.read_text("utf-8") for path in report.values() if path.suffix == ".html")


def test_pages_are_well_formed(report):
    for path in report.values():
        if path.suffix == ".html":
            text = re.sub(r"<(meta|img)([^>]*)>", r"<\1\2/>", path.read_text("utf-8").replace("<!doctype html>", ""))
            ElementTree.fromstring(text)


def test_the_instructor_reads_mistakes_by_count(book, report):
    found = {(exercise.id, name): len(rows) for exercise, name, rows in book.mistakes()}
    assert found["02.2", "not scaled"] == 1
    page = report["index.html"].read_text("utf-8")
    assert "<td>1</td><td>02.2 scaled_dot_product_attention</td><td>not scaled</td>" in page
    assert "stored output says that 02.1" in page
    assert f"--seed {book.seed}" in page


def test_the_heat_map_is_a_picture(report):
    with Image.open(report["heat_map.png"]) as image:
        assert image.size[0] > 800


def test_other_programs_find_their_columns(book):
    texts = {name: text for each in Format for name, text in tables_for(book, each).items()}
    tables = {name: list(csv.reader(io.StringIO(text))) for name, text in texts.items()}
    nbgrader, canvas, moodle = (tables[f"grades_{name}.csv"] for name in ("nbgrader", "canvas", "moodle_02"))
    assert nbgrader[0][:4] == ["assignment", "duedate", "timestamp", "student_id"]
    assert nbgrader[0][7:] == ["raw_score", "late_submission_penalty", "score", "max_score"]
    assert canvas[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Lesson 02"]
    assert canvas[1] == ["    Points Possible", "", "", "", "", "4"]
    row = dict(zip(moodle[0], next(row for row in moodle if row[1] == "saved_by_colab"), strict=True))
    assert (row["Grade"], row["Maximum Grade"], row["Identifier"]) == ("4.00", "4.00", "")
    assert json.dumps(nbgrader[1:]).count("lesson_02") == len(book.rows)
