"""The learner's record survives damage and interrupted writing."""

import json

import pytest

from gemini_workshop.exercises import progress
from gemini_workshop.exercises.verdict import Outcome, Verdict


@pytest.fixture(autouse=True)
def learner_home(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))
    return tmp_path


def verdict(outcome, mistake=None):
    return Verdict(exercise_id="02.1", title="softmax", outcome=outcome, mistake=mistake)


def test_no_file_means_nothing_done():
    assert progress.load() == {}


def test_records_survive_the_way_to_disk_and_back(learner_home):
    records = {"02.1": progress.Record(outcome="passed", attempts=3, hints=1, has_passed=True, mistakes={"x": 2})}
    progress.save(records)
    assert progress.load() == records
    assert [path.name for path in learner_home.iterdir()] == ["progress.json"]


def test_a_later_failure_does_not_take_a_pass_away():
    progress.note_verdict(verdict(Outcome.PASSED))
    record = progress.note_verdict(verdict(Outcome.WRONG, "overflows"))
    assert record.has_passed
    assert record.outcome == "wrong answer"
    assert record.mistakes == {"overflows": 1}


def test_looking_is_no_attempt():
    assert progress.note_verdict(verdict(Outcome.NOT_STARTED)).attempts == 0


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"02.1": {"unknown": 1}})])
def test_a_damaged_file_is_set_aside_and_not_thrown_away(learner_home, text):
    (learner_home / "progress.json").write_text(text)
    assert progress.load() == {}
    assert (learner_home / "progress.damaged.json").read_text() == text
