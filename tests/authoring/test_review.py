"""Each kind of drift that no execution shows changes the record, and so has to be accepted on purpose."""

import re
from dataclasses import replace

import nbformat
import pytest

from gemini_workshop.authoring.prose import numbers_by_section, unsupported
from gemini_workshop.authoring.review import changes, read_record, review, write_record
from gemini_workshop.exercises.core.catalogue import lessons
from gemini_workshop.exercises.core.quiz import Quiz
from tests.authoring.lessons import lesson_with
from tests.notebooks.lessons import LESSONS, NOTEBOOKS

LESSON = next(lesson for lesson in LESSONS if lesson.id == "02")
EXERCISES, QUIZ = lessons()["02"].EXERCISES, lessons()["02"].QUIZ
NOW = review(LESSON, EXERCISES, QUIZ)


def drifted(lesson=LESSON, exercises=EXERCISES, quiz=QUIZ):
    return list(changes(NOW, review(lesson, exercises, quiz)))


def edited(pattern, new, count=1):
    """Lesson 02 with an edit in its source."""
    cells, done = [], 0
    for cell in LESSON.cells:
        text, times = re.subn(pattern, new, cell.text, count=count - done if count else 0, flags=re.MULTILINE)
        done += times
        cells.append(replace(cell, text=text) if times else cell)
        if count and done >= count:
            break
    assert done, pattern
    return replace(LESSON, cells=(*cells, *LESSON.cells[len(cells) :]))


def other_words(**changed):
    first, *others = EXERCISES
    return (replace(first, **changed), *others)


def test_nothing_changed_is_no_drift():
    assert drifted() == []


def test_assertions_removed_or_weakened_are_found():
    [line] = drifted(edited(r"^assert [^(\n]*$", "pass", count=0))
    assert line.startswith("assertions (how many, and their sum): ")
    [line] = drifted(edited(r"^assert .*$", "assert True"))
    assert line.startswith("assertions")


@pytest.mark.parametrize(("old", "new"), [(r"12\.7", "13.7"), ("Sixteen times", "Thirty-two times")])
def test_a_number_of_the_prose_that_changed_is_found(old, new):
    assert any("numbers of the prose" in line for line in drifted(edited(old, new)))


@pytest.mark.parametrize(("old", "new"), [(r"\\sum_j e", r"\\sum_i e"), (r"\$\\sqrt d\$", "$d$")])
def test_a_formula_that_changed_is_found(old, new):
    assert any("formulas in" in line for line in drifted(edited(old, new)))


def test_a_hint_or_a_sentence_about_a_mistake_that_changed_is_found():
    nudge, *others = EXERCISES[0].hints
    [line] = drifted(exercises=other_words(hints=("Do not " + nudge, *others)))
    assert line.startswith("exercise 02.1: given")
    known = dict(EXERCISES[0].misconceptions)
    name, mistake = next(iter(known.items()))
    known[name] = replace(mistake, says="Look again.")
    assert drifted(exercises=other_words(misconceptions=known))


def test_a_quiz_with_another_key_is_found():
    first, *others = QUIZ.questions
    wrong = next(i for i, option in enumerate(first.options) if not option.is_right)
    options = tuple(replace(option, is_right=i == wrong) for i, option in enumerate(first.options))
    [line] = drifted(quiz=Quiz((replace(first, options=options), *others)))
    assert line.startswith("the quiz: ")


def test_an_answer_or_what_the_starter_gives_that_changed_is_found():
    assert drifted(edited(r"exponentials / exponentials\.sum", "exponentials * 1 / exponentials.sum"))
    assert drifted(edited(r"# 2\. Make every score positive\.", "# 2. Take the exponential."))


def test_a_lesson_never_reviewed_is_found():
    assert list(changes(None, NOW)) == ["was never reviewed"]


def test_the_record_keeps_the_other_lessons(tmp_path):
    write_record(tmp_path, {"02": NOW})
    write_record(tmp_path, {"01": {"assertions": "1 x"}})
    assert list(read_record(tmp_path)) == ["01", "02"]
    assert read_record(tmp_path)["02"] == NOW


PROSE = """\
# %% [markdown]
# ## One
# It is 12.5 with `0.1`, $0.2$, [0.3](https://x.org/0.4), Gemini 1.5 and exercise 02.1, sixteen times.

# %%
print(0.5)

# %% [markdown]
# ## Two
# Half: 0.5.
"""


def test_numbers_of_the_prose_are_read_without_code_formulas_and_links(tmp_path):
    assert numbers_by_section(lesson_with(tmp_path, PROSE)) == {"One": "12.5 sixteen", "Two": "0.5"}


def test_a_number_without_evidence_in_its_chapter_is_found(tmp_path):
    lesson = lesson_with(tmp_path, PROSE)
    cells = [nbformat.v4.new_markdown_cell(lesson.cells[0].text), nbformat.v4.new_code_cell("print(0.5)")]
    assert len(list(unsupported(lesson, nbformat.v4.new_notebook(cells=cells)))) == 1
    cells[1].outputs = [nbformat.v4.new_output("stream", text="it is 12.5\n")]
    assert list(unsupported(lesson, nbformat.v4.new_notebook(cells=cells))) == []


def test_a_changed_number_of_lesson_02_has_no_evidence():
    solution = nbformat.read(NOTEBOOKS / LESSON.files["solution"], as_version=4)
    assert list(unsupported(LESSON, solution)) == []
    for cell in solution.cells:
        cell.source = cell.source.replace("12.7", "13.7") if cell.cell_type == "markdown" else cell.source
    assert any("13.7" in line for line in unsupported(LESSON, solution))
