"""The command ``gemini-workshop grade``: what it refuses before it grades, and what it prints."""

import json

import pytest

from tests.evaluation.sandbox.isolation import why_not_isolated
from tests.grading.editors import lab
from tests.grading.handed_in import starter


def test_what_cannot_be_graded_is_refused_before_anything_runs(run, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "is empty" in str(run("grade", str(empty)).exception)
    assert "There is no folder" in str(run("grade", str(tmp_path / "nowhere")).exception)
    (empty / "ada.ipynb").write_bytes(lab(starter()))
    assert "There is no lesson '97'" in str(run("grade", str(empty), "--lesson", "97").exception)
    taken = tmp_path / "taken"
    taken.write_text("a file", "utf-8")
    assert run("grade", str(empty), "--out", str(taken)).exception


@pytest.mark.skipif(bool(why_not_isolated()), reason="programs cannot be isolated on this machine")
def test_a_room_is_graded_into_a_folder(run, tmp_path):
    handed_in = tmp_path / "in"
    handed_in.mkdir()
    (handed_in / "ada.ipynb").write_bytes(b"")
    (handed_in / "notes.txt").write_text("hello", "utf-8")
    result = run("grade", str(handed_in), "--lesson", "02", "--out", str(tmp_path / "out"), "--json")
    found = json.loads(result.stdout)
    assert found["learners"][0]["notes"] == ["ada.ipynb: The file is empty."]
    assert found["ignored"] == ["notes.txt: not a notebook (its name does not end in .ipynb)"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "index.html",
        "grades.csv",
        "heat_map.png",
        "feedback",
    }
