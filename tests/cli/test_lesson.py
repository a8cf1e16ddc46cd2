import re
from datetime import date

import nbformat
import pytest

from gemini_workshop.exercises.core import progress
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.progress import Record
from gemini_workshop.lessons.folder import find_copy, lay_out

GAP = '    raise NotImplementedError("02.1 softmax: your turn")'
ANSWER = "    return torch.softmax(scores, dim)"
TODAY = date.today()


@pytest.fixture
def copy(tmp_path):
    """The learner's copy of lesson 02, with an answer to its first exercise."""
    lay_out(tmp_path / "lessons")
    copy = find_copy(tmp_path / "lessons", "02")
    replace_in(copy.mine, GAP, ANSWER)
    return copy


def replace_in(path, old, new):
    """Edit the one cell of a notebook that has a text."""
    notebook = nbformat.read(path, as_version=4)
    (cell,) = [cell for cell in notebook.cells if old in cell.source]
    cell.source = cell.source.replace(old, new)
    nbformat.write(notebook, path)


def cells(path):
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


def dated(path):
    return path.with_stem(f"{path.stem}_{TODAY}")


def test_reset_gives_a_fresh_starter_and_says_where_the_old_one_is(run, copy):
    mine = copy.mine.read_text("utf-8")
    output = run("lesson", "reset", "2").output
    assert output == f"Lesson 02 starts again: {copy.mine}\nYour notebook is kept: {dated(copy.mine)}\n"
    assert copy.mine.read_bytes() == copy.shipped.read_bytes()
    assert dated(copy.mine).read_text("utf-8") == mine


def test_reset_of_a_lesson_never_begun_begins_it(run, tmp_path):
    output = run("lesson", "reset", "02", "--folder", str(tmp_path / "new")).output
    assert output == f"Lesson 02 starts again: {find_copy(tmp_path / 'new', '02').mine}\n"


def test_an_update_without_a_newer_starter_changes_nothing(run, copy):
    mine = copy.mine.read_text("utf-8")
    assert run("lesson", "update", "02").output == "Lesson 02 is up to date.\n"
    lessons = len({exercise.lesson for exercise in all_exercises().values()})
    assert run("lesson", "update").output == f"Your {lessons} lessons in {copy.mine.parents[1]} are up to date.\n"
    assert copy.mine.read_text("utf-8") == mine
    assert not dated(copy.mine).exists()


def test_update_carries_answers_into_the_newer_starter_keeps_both_where_both_changed_and_says_so(run, copy):
    """The learner began with an older starter: it had another title and another signature of causal_mask."""
    for path in (copy.mine, copy.began_as):
        replace_in(path, "# 02 · Attention\n", "# 02 · Looking\n")
        replace_in(path, "def causal_mask(\n    num_queries: int,", "def causal_mask(\n    queries: int,")
    replace_in(copy.mine, '    raise NotImplementedError("02.3 causal_mask: your turn")', "    return 'my mask'")
    mine = copy.mine.read_text("utf-8")
    output = run("lesson", "update").output
    assert f"Lesson 02 is up to date: {copy.mine}\n" in output
    assert "Carried over: 02.1.\n" in output
    assert "both versions kept in the notebook: 02.3.\n" in output
    assert f"Your notebook as it was: {dated(copy.mine)}\n" in output
    text = "\n".join(cells(copy.mine))
    assert ANSWER in text
    assert GAP not in text
    assert text.index("    num_queries: int,") < text.index("From your earlier copy") < text.index("'my mask'")
    assert cells(copy.mine)[0].startswith("# 02 · Attention\n")
    assert dated(copy.mine).read_text("utf-8") == mine
    assert run("lesson", "update").output.endswith("are up to date.\n")


def test_diff_shows_each_exercise_with_its_outcome_and_what_was_changed(run, copy):
    progress.save({"02.1": Record(outcome="wrong answer", attempts=2, has_passed=True)})
    output = run("lesson", "diff", "02").output
    assert re.search(r"^02\.1 softmax · passed\n(  [ -].*\n)+  \+    return torch\.softmax\(scores, dim\)\n\n", output)
    assert f"\n  -{GAP}\n" in output
    for exercise in ("02.2 scaled_dot_product_attention", "02.3 causal_mask", "02.4 additive_mask"):
        assert f"\n{exercise} · not started · unchanged\n" in output
    assert output.endswith("\nOther cells · unchanged\n")


def test_diff_shows_other_cells_last(run, copy):
    replace_in(copy.mine, "use_theme()\n", "use_theme()\nprint('mine')\n")
    output = run("lesson", "diff", "02").output
    assert "+print('mine')" in output.partition("\nOther cells\n")[2]


def test_the_solution_is_put_beside_the_notebook_once(run, copy):
    place = copy.mine.with_name("02_attention_mechanism_solution.ipynb")
    assert run("lesson", "solution", "02").output == f"The solution is beside your notebook: {place}\n"
    assert place.read_bytes() == copy.solution.read_bytes()
    place.write_text("my remarks", "utf-8")
    assert run("lesson", "solution", "02").output == f"The solution is already there: {place}\n"
    assert place.read_text("utf-8") == "my remarks"
    assert "has no separate solution" in str(run("lesson", "solution", "00").exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diff", "02", "--folder", "nowhere"], "Lesson 02 is not in .*nowhere.*gemini-workshop lab 02"),
        (["update", "02", "--folder", "nowhere"], "Lesson 02 is not in .*nowhere"),
        (["reset", "77"], r"There is no lesson '77'. Did you mean '07'\? Known: 00, 01"),
        (["diff", "77"], "There is no lesson '77'"),
        (["solution", "77"], "There is no lesson '77'"),
    ],
)
def test_a_lesson_that_is_not_there_is_an_error_that_says_what_to_do(run, arguments, message):
    result = run("lesson", *arguments)
    assert result.exit_code == 1
    assert re.search(message, str(result.exception))


def test_a_notebook_that_cannot_be_read_is_left_alone(run, copy):
    copy.mine.write_text("{", "utf-8")
    copy.began_as.write_text("an older starter", "utf-8")
    for command in ("diff", "update"):
        assert "lesson reset 02" in str(run("lesson", command, "02").exception)
    assert copy.mine.read_text("utf-8") == "{"
