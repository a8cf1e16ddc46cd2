"""On the next day a lesson says where its learner stopped, and reads back what was saved."""

import re

import pytest

from gemini_workshop.exercises import check, welcome_back
from gemini_workshop.exercises.core import my_gemini, progress
from gemini_workshop.exercises.core.calls import SAVED
from gemini_workshop.exercises.core.catalogue import find, lessons
from gemini_workshop.exercises.core.progress import Record
from gemini_workshop.exercises.core.welcome import greeting
from tests.clone import TOP

EXERCISES = list(lessons()["02"].EXERCISES)
HOW = "choose Run > Run All Above Selected Cell."
MINE = """import torch

def softmax(scores, dim=-1):
    return torch.softmax(scores, dim)
"""


def softmax(scores, dim=-1):
    raise NotImplementedError("02.1 softmax: your turn")


@pytest.fixture(autouse=True)
def yesterday(tmp_path, monkeypatch):
    """Pass exercises on an earlier day; the code of some of them was saved."""
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))

    def passed(*ids, saved=()):
        progress.save({exercise_id: Record(outcome="passed", attempts=1, has_passed=True) for exercise_id in ids})
        for exercise_id in saved:
            my_gemini.keep(exercise_id, "softmax", MINE)

    return passed


def test_on_the_first_day_nothing_is_said(capsys):
    welcome_back("02")
    assert capsys.readouterr().out == ""


def test_an_attempt_that_failed_is_nothing_to_come_back_to(yesterday):
    progress.save({"02.1": Record(outcome="wrong answer", attempts=3)})
    assert greeting(EXERCISES) == ""


def test_what_passed_what_comes_next_and_how_to_continue_are_said(yesterday, capsys):
    yesterday("02.1", "02.2", saved=["02.1", "02.2"])
    welcome_back("02")
    said = capsys.readouterr().out
    assert said == (
        "Welcome back: 02.1 softmax and 02.2 scaled_dot_product_attention have passed. Your code is saved.\n"
        f"Next: 02.3 causal_mask. Click into its cell and {HOW}\n"
    )
    assert said in (TOP / "docs" / "course.md").read_text("utf-8")


def test_next_is_the_first_gap_not_the_one_after_the_last_that_passed(yesterday):
    yesterday("02.2")
    assert "02.2 scaled_dot_product_attention has passed." in greeting(EXERCISES)
    assert "\nNext: 02.1 softmax. " in greeting(EXERCISES)


@pytest.mark.parametrize(
    ("saved", "says"),
    [([], "in this notebook alone."), (["02.1"], "saved for 02.1 softmax."), (["02.1", "02.2"], "is saved.")],
)
def test_whose_code_was_saved_is_said_truly(yesterday, saved, says):
    yesterday("02.1", "02.2", saved=saved)
    assert says in greeting(EXERCISES).splitlines()[0]


def test_a_finished_lesson_has_nothing_next(yesterday):
    yesterday(*(exercise.id for exercise in EXERCISES))
    assert re.search(r"Nothing is left to write\. .* choose Run > Run All Cells\.$", greeting(EXERCISES))


def test_a_gap_that_passed_yesterday_is_filled_with_what_was_saved_and_the_verdict_says_so(yesterday, capsys):
    yesterday("02.1", saved=["02.1"])
    own = check("02.1", softmax)
    assert own.__module__ == "my_gemini.ex_02_1"
    said = capsys.readouterr().out
    assert said.startswith(f"○ 02.1 softmax · not started\n  {SAVED}\n")
    assert 'hint("02.1")' in said


def test_a_wrong_answer_of_today_is_not_replaced_by_yesterdays(yesterday, capsys):
    yesterday("02.1", saved=["02.1"])
    assert check("02.1", lambda scores, dim=-1: scores) is find("02.1").reference
    assert SAVED not in capsys.readouterr().out


def test_nothing_saved_leaves_the_reference(capsys):
    assert check("02.1", softmax) is find("02.1").reference
    assert SAVED not in capsys.readouterr().out
