"""What only a reader can judge was read: assertions, numbers, hints, quizzes. And README agrees with the lessons."""

import re

import nbformat
import pytest

from gemini_workshop.authoring.prose import unsupported
from gemini_workshop.authoring.review import changes, read_record, review_of
from gemini_workshop.exercises.core.catalogue import lessons
from tests.clone import TOP
from tests.notebooks.lessons import LESSONS, NOTEBOOKS, name

every_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=name)


@every_lesson
def test_what_changed_was_read_again(lesson):
    found = list(changes(read_record(NOTEBOOKS).get(lesson.id), review_of(lesson)))
    assert not found, "\n".join([*found, f"Read it again, then: gemini-workshop notebooks review {lesson.id}"])


@every_lesson
def test_numbers_in_the_prose_have_an_output_or_code_beside_them(lesson):
    solution = nbformat.read(NOTEBOOKS / lesson.files["solution"], as_version=4)
    assert list(unsupported(lesson, solution)) == []


def table_problems(readme):
    """Where README's table of lessons differs from the headers of the sources and from the exercises."""
    rows = dict(re.findall(r"^\| (\d\d) (.*) \|$", readme, re.MULTILINE))
    found = [] if rows.keys() == {lesson.id for lesson in LESSONS} else [f"lessons {', '.join(rows)}"]
    for lesson in LESSONS:
        title, functions, minutes = (part.strip() for part in rows.get(lesson.id, "| |").split("|"))
        written = ", ".join(f"`{exercise.title}`" for exercise in lessons()[lesson.id].EXERCISES)
        if title != lesson.header.title:
            found.append(f"{lesson.id}: the title is {lesson.header.title!r}")
        if lesson.id != "00" and functions != written:
            found.append(f"{lesson.id}: the functions are {written}")
        if minutes != f"{lesson.header.minutes} min":
            found.append(f"{lesson.id}: it takes {lesson.header.minutes} min")
    return found


README = (TOP / "README.md").read_text("utf-8")


def test_the_table_in_the_readme_is_that_of_the_lessons():
    assert table_problems(README) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("`softmax`, ", "", "02: the functions are"),
        ("| 90 min |", "| 45 min |", "06: it takes 90 min"),
        ("| 02 Attention |", "| 02 Attentions |", "02: the title is 'Attention'"),
        ("| 03 ", "| 07 ", "lessons 00, 01, 02, 07"),
    ],
)
def test_a_wrong_row_in_the_readme_is_found(old, new, found):
    assert old in README
    assert any(found in problem for problem in table_problems(README.replace(old, new, 1)))
