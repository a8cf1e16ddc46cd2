"""Whose a notebook is, which lesson it answers, and what a folder is refused for."""

import json
from pathlib import Path

import pytest

from gemini_workshop.errors import WorkshopError
from gemini_workshop.grading.submissions import find_submissions, learner_of
from tests.grading.answers import RIGHT
from tests.grading.editors import EDITORS, lab
from tests.grading.handed_in import filled, starter


@pytest.fixture(scope="module")
def right():
    return filled(RIGHT)


@pytest.mark.parametrize(
    ("path", "learner", "number"),
    [
        ("ada.ipynb", "ada", ""),
        ("ada/02_attention_mechanism_starter.ipynb", "ada", ""),
        ("ada/part2/02.ipynb", "ada", ""),
        ("ada_02_attention_mechanism_starter.ipynb", "ada", ""),
        ("02_attention_mechanism-ada (1).ipynb", "ada", ""),
        ("02_attention_mechanism_starter.ipynb", "02_attention_mechanism_starter", ""),
        ("Ada L_4711_assignsubmission_file_/02.ipynb", "Ada L", "4711"),
        ("Ada L_4711_assignsubmission_file_02.ipynb", "Ada L", "4711"),
        ("lovelaceada_4711_99_02_attention.ipynb", "lovelaceada", "4711"),
        ("lovelaceada_LATE_4711_99_02_attention.ipynb", "lovelaceada", "4711"),
    ],
)
def test_learners_are_named_by_their_folders_or_files(path, learner, number):
    assert learner_of(Path(path)) == (learner, number)


@pytest.mark.parametrize("editor", EDITORS)
def test_the_lesson_is_known_whichever_editor_saved_it(tmp_path, right, editor):
    (tmp_path / "ada.ipynb").write_bytes(EDITORS[editor](right))
    (found,) = find_submissions(tmp_path).submissions
    assert (found.lesson, found.problem) == ("02", "")


def test_the_lesson_is_known_without_its_checks(tmp_path, right):
    for cell in right["cells"]:
        cell.pop("id", None)
    kept = [cell for cell in right["cells"] if "check(" not in "".join(cell["source"])]
    (tmp_path / "ada.ipynb").write_bytes(lab(right | {"cells": kept, "nbformat_minor": 4}))
    assert find_submissions(tmp_path).submissions[0].lesson == "02"


def test_a_folder_that_is_missing_empty_or_without_notebooks_is_refused_by_name(tmp_path):
    with pytest.raises(WorkshopError, match=r"There is no folder .*nowhere"):
        find_submissions(tmp_path / "nowhere")
    with pytest.raises(WorkshopError, match=r"is empty\. Put the notebooks"):
        find_submissions(tmp_path)
    (tmp_path / "all.zip").write_bytes(b"PK")
    (tmp_path / "essay.docx").write_bytes(b"PK")
    with pytest.raises(WorkshopError, match=r"all\.zip: an archive; unpack it first; essay\.docx: not a notebook"):
        find_submissions(tmp_path)


def test_two_notebooks_of_one_learner_for_one_lesson_are_refused_unless_the_newest_is_wanted(tmp_path):
    (tmp_path / "ada").mkdir()
    for name in ("first", "second"):
        (tmp_path / "ada" / f"{name}.ipynb").write_bytes(lab(starter()))
    with pytest.raises(WorkshopError, match=r"ada: ada/first\.ipynb and ada/second\.ipynb.*--newest"):
        find_submissions(tmp_path)
    assert find_submissions(tmp_path, newest=True).submissions[0].path.name == "second.ipynb"


def test_links_and_hidden_copies_are_not_read(tmp_path):
    (tmp_path / "ada.ipynb").write_bytes(lab(starter()))
    (tmp_path / "eve.ipynb").symlink_to("/etc/passwd")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "ada-checkpoint.ipynb").write_bytes(lab(starter()))
    found = find_submissions(tmp_path)
    assert [each.learner for each in found.submissions] == ["ada"]
    assert found.ignored == ["eve.ipynb: a link; what it points to was not handed in"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"cells": 3}', b"\xff\xfe", json.dumps({"nbformat": 99}).encode(), b"[" * 100_000],
    ids=["empty", "cut", "a list", "no cells", "bytes", "of the future", "deep"],
)
def test_a_damaged_file_is_a_row_with_its_reason(tmp_path, content):
    (tmp_path / "ada.ipynb").write_bytes(content)
    (found,) = find_submissions(tmp_path).submissions
    assert found.problem
    assert found.learner == "ada"
