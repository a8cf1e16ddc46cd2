from pathlib import Path

from gemini_workshop import paths


def test_the_learners_folder_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path / "mine"))
    assert paths.home() == tmp_path / "mine"


def test_without_the_variable_it_is_in_the_users_home(monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", "")
    assert paths.home() == Path.home() / ".gemini_workshop"


def test_in_a_clone_lessons_and_samples_are_the_clones():
    top = Path(__file__).parents[1]
    assert paths.clone_folder() == top
    assert paths.notebooks_folder() == top / "notebooks"
    assert paths.samples_folder() == top / "data" / "samples"


def test_an_installed_package_finds_lessons_and_samples_inside_itself(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site-packages" / "gemini_workshop")
    assert paths.clone_folder() is None
    assert paths.notebooks_folder() == paths.PACKAGE / "notebooks"
    assert paths.samples_folder() == paths.PACKAGE / "samples"


def test_the_learners_lessons_are_where_the_variable_says_and_else_in_plain_sight_in_the_users_home(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("GEMINI_WORKSHOP_LESSONS", str(tmp_path / "mine"))
    assert paths.lessons_folder() == tmp_path / "mine"
    monkeypatch.setenv("GEMINI_WORKSHOP_LESSONS", "")
    assert paths.lessons_folder() == Path.home() / "gemini-lessons"
