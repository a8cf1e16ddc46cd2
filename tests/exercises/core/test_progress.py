"""The learner's record survives damage and interrupted writing."""

import json
import os

import pytest

from gemini_workshop.exercises.core import progress
from gemini_workshop.exercises.core.verdict import Outcome, Verdict


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
    progress.note_verdict(verdict(Outcome.WRONG, "overflows"))
    record = progress.load()["02.1"]
    assert record.has_passed
    assert record.outcome == "wrong answer"
    assert record.mistakes == {"overflows": 1}


def test_looking_is_no_attempt():
    progress.note_verdict(verdict(Outcome.NOT_STARTED))
    assert progress.load()["02.1"].attempts == 0


def test_what_is_not_the_learners_own_leaves_no_trace():
    progress.note_verdict(verdict(Outcome.NOT_YOURS))
    assert progress.load() == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"02.1": 3}', "[" * 100_000])
def test_a_damaged_file_is_set_aside_and_not_thrown_away(learner_home, text):
    (learner_home / "progress.json").write_text(text)
    with pytest.warns(UserWarning, match=r"It is now progress\.damaged\.json"):
        assert progress.load() == {}
    assert (learner_home / "progress.damaged.json").read_text() == text
    (learner_home / "progress.json").write_text("again")
    with pytest.warns(UserWarning, match=r"It is now progress\.damaged1\.json"):
        assert progress.load() == {}
    assert (learner_home / "progress.damaged.json").read_text() == text
    assert (learner_home / "progress.damaged1.json").read_text() == "again"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_a_file_that_an_editor_has_saved_is_read(learner_home, encoding):
    (learner_home / "progress.json").write_text('{"02.1": {"attempts": 3}}', encoding)
    assert progress.load()["02.1"].attempts == 3


def test_fields_of_another_version_survive_and_values_of_another_type_do_not_count(learner_home):
    entry = {"attempts": "many", "has_passed": True, "stars": 5}
    (learner_home / "progress.json").write_text(json.dumps({"02.1": entry}))
    assert progress.load()["02.1"] == progress.Record(has_passed=True)
    progress.note_hint("02.1")
    after = json.loads((learner_home / "progress.json").read_text())["02.1"]
    assert (after["stars"], after["hints"], after["attempts"]) == (5, 1, 0)


def test_two_notebooks_at_once_lose_nothing():
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            for _ in range(10):
                progress.note_hint("02.1")
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert progress.load()["02.1"].hints == 40


def test_where_nothing_can_be_written_the_notebook_remembers(learner_home, monkeypatch):
    (learner_home / "file").write_text("in the way")
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(learner_home / "file"))
    for _ in range(2):
        with pytest.raises(OSError, match="file"):
            progress.note_hint("02.1")
    assert progress.load()["02.1"].hints == 2
