"""Kinds of mistakes that answers written blindly showed to be unseen, or told by numbers alone: now said in words.

The headings of ``bank/kinds`` are pieces of the verdict.
"""

from pathlib import Path

import pytest

from tests.exercises.bank import read
from tests.exercises.test_bank import judged

KINDS = [read(path) for path in sorted((Path(__file__).parent / "bank" / "kinds").glob("*.txt"))]
WRONG = [(answers, said) for answers in KINDS for said in answers.wrong]


@pytest.mark.parametrize("answers", KINDS, ids=lambda answers: answers.exercise)
def test_what_the_wrong_answers_are_made_of_is_right(answers):
    assert "· passed" in str(judged(answers))


@pytest.mark.parametrize(("answers", "said"), WRONG, ids=[f"{answers.exercise} {said}" for answers, said in WRONG])
def test_each_kind_of_mistake_is_said_in_words(answers, said):
    assert said in str(judged(answers, answers.wrong[said]))
