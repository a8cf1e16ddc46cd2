"""Answers written before the checks were read: all wrong ones are caught, nearly all told, and no right one refused."""

import re

import pytest

from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from tests.exercises.bank import BANK

ONLY_NUMBERS = re.compile(
    r"(Entry|Element|Logits|Unit|Given|hint\(|gelu\(|Channels|Row|Token|Query|\(.*\) (became|with) )"
)


def judged(answers, changes=""):
    return judge(find(answers.exercise), answers.built(changes), limit_seconds=60.0)


def is_told(verdict):
    """Whether a verdict says more than that some number differs."""
    return verdict.mistake is not None or not all(ONLY_NUMBERS.match(line) for line in verdict.lines)


def by_exercise(answers):
    return answers.exercise


@pytest.mark.parametrize("answers", BANK, ids=by_exercise)
def test_no_right_answer_is_refused(answers):
    refused = {name: str(judged(answers, changes)) for name, changes in {"base": "", **answers.right}.items()}
    assert {name: said for name, said in refused.items() if "· passed" not in said} == {}


@pytest.mark.parametrize("answers", BANK, ids=by_exercise)
def test_wrong_answers_are_caught_and_told(answers):
    verdicts = {name: judged(answers, changes) for name, changes in answers.wrong.items()}
    assert [name for name, verdict in verdicts.items() if verdict.outcome == Outcome.PASSED] == []
    vague = [name for name, verdict in verdicts.items() if not is_told(verdict)]
    assert len(vague) <= 0.1 * len(verdicts), vague


def test_the_bank_is_large_enough_to_say_something():
    assert len(BANK) >= 10
    assert all(len(answers.right) >= 8 and len(answers.wrong) >= 20 for answers in BANK)
