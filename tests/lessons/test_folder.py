"""Starters are copied once; whatever a learner wrote stays on the disk under some name."""

import json
from datetime import date

import pytest

from gemini_workshop import paths
from gemini_workshop.errors import WorkshopError
from gemini_workshop.lessons.cells import read_notebook
from gemini_workshop.lessons.folder import begun_copy, copies, find_copy, lay_out, set_aside, start_again

NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
NAMES = {"00": "00_setup.ipynb", "02": "part2/02_attention_starter.ipynb"}
TODAY = date(2026, 3, 1)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A learner's folder, empty; the lessons that ship are one of each kind, with an orphan and a leftover."""
    no_lessons = ["part2/03_heads_solution.ipynb", "part2/.ipynb_checkpoints/07_gone-checkpoint.ipynb"]
    for name in [*NAMES.values(), "part2/02_attention_solution.ipynb", *no_lessons]:
        (tmp_path / "notebooks" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "notebooks" / name).write_text(json.dumps(NOTEBOOK), "utf-8")
    monkeypatch.setattr(paths, "notebooks_folder", lambda: tmp_path / "notebooks")
    return tmp_path / "mine"


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("lesson", ["02", "2"])
def test_a_lesson_is_its_starter_or_its_only_notebook(mine, lesson):
    assert find_copy(mine, lesson).mine == mine / NAMES["02"]
    assert find_copy(mine, "00").mine == mine / NAMES["00"]


def test_a_solution_is_that_of_a_pair(mine):
    assert find_copy(mine, "02").solution == paths.notebooks_folder() / "part2/02_attention_solution.ipynb"
    assert find_copy(mine, "00").solution is None


def test_an_unknown_lesson_is_answered_with_the_known_ones(mine):
    with pytest.raises(WorkshopError, match=r"There is no lesson '05'\. Did you mean '0[02]'\? Known: 00, 02\."):
        find_copy(mine, "05")


def test_lessons_that_were_never_built_are_an_error_with_the_fix(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "notebooks_folder", lambda: tmp_path)
    with pytest.raises(WorkshopError, match="gemini-workshop notebooks build"):
        copies(tmp_path)


def test_starters_are_copied_once_each_with_the_starter_that_it_began_as(mine):
    assert lay_out(mine) == ["00", "02"]
    assert files(mine) == sorted([*NAMES.values(), *(f".starters/{name}" for name in NAMES.values())])
    (mine / NAMES["02"]).write_text("my work", "utf-8")
    (mine / NAMES["00"]).unlink()
    assert lay_out(mine) == ["00"]
    assert (mine / NAMES["02"]).read_text("utf-8") == "my work"


def test_a_folder_that_cannot_be_written_is_an_error_that_names_the_option(mine):
    mine.write_text("a file", "utf-8")
    with pytest.raises(WorkshopError, match=r"cannot be copied to .*mine: .*--folder FOLDER"):
        lay_out(mine)


def test_starting_again_keeps_what_was_there_with_the_date(mine):
    lay_out(mine)
    copy = find_copy(mine, "02")
    for number, name in enumerate(["_2026-03-01", "_2026-03-01_2", "_2026-03-01_3"]):
        copy.mine.write_text(f"try {number}", "utf-8")
        kept = start_again(copy, TODAY)
        assert kept == mine / NAMES["02"].replace("starter", f"starter{name}")
        assert kept.read_text("utf-8") == f"try {number}"
        assert copy.mine.read_bytes() == copy.shipped.read_bytes()
    assert lay_out(mine) == []


def test_starting_a_lesson_that_was_never_copied_keeps_nothing(mine):
    copy = find_copy(mine, "02")
    assert start_again(copy, TODAY) is None
    assert copy.mine.is_file()


def test_a_copy_is_behind_when_another_starter_ships_not_when_the_learner_writes(mine):
    lay_out(mine)
    copy = find_copy(mine, "02")
    copy.mine.write_text("my work", "utf-8")
    assert not copy.is_behind
    copy.shipped.write_text("a new starter", "utf-8")
    assert copy.is_behind
    start_again(copy, TODAY)
    assert not copy.is_behind


def test_a_kill_between_setting_aside_and_writing_loses_nothing(mine):
    lay_out(mine)
    copy = find_copy(mine, "02")
    copy.mine.write_text("my work", "utf-8")
    kept = set_aside(copy.mine, TODAY)
    assert lay_out(mine) == ["02"]
    assert kept.read_text("utf-8") == "my work"


def test_a_lesson_that_is_not_there_yet_and_one_whose_beginning_is_unknown_are_errors_with_the_command(mine):
    with pytest.raises(WorkshopError, match=r"Lesson 02 is not in .*gemini-workshop lab 02.*--folder"):
        begun_copy(mine, "2")
    lay_out(mine)
    assert begun_copy(mine, "02").mine.is_file()
    find_copy(mine, "02").began_as.unlink()
    with pytest.raises(WorkshopError, match=r"is missing.*gemini-workshop lesson reset 02"):
        begun_copy(mine, "02")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"cells": 3}', '{"cells": 3, "nbformat": 4}', "\x00"])
def test_a_file_that_is_not_a_notebook_is_an_error_with_the_command(tmp_path, content):
    path = tmp_path / "02_attention_starter.ipynb"
    path.write_text(content, "utf-8")
    with pytest.raises(WorkshopError, match=r"cannot be read as a notebook.*gemini-workshop lesson reset 02"):
        read_notebook(path)
