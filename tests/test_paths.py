import sysconfig
from pathlib import Path

from gemini_workshop import paths


def test_the_learners_folder_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path / "mine"))
    assert paths.home() == tmp_path / "mine"


def test_without_the_variable_it_lies_in_the_users_home(monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", "")
    assert paths.home() == Path.home() / ".gemini_workshop"


def test_in_a_clone_lessons_and_samples_are_the_clones():
    top = Path(__file__).parents[1]
    assert paths.clone_folder() == top
    assert paths.notebooks_folder() == top / "notebooks"
    assert paths.samples_folder() == top / "data" / "samples"


def test_an_installed_package_has_no_lessons_and_finds_samples_in_the_environment_or_the_users_folder(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site-packages" / "gemini_workshop")
    system, user = tmp_path / "system", tmp_path / "user"
    where = {sysconfig.get_default_scheme(): system, sysconfig.get_preferred_scheme("user"): user}
    monkeypatch.setattr(sysconfig, "get_path", lambda name, scheme: str(where[scheme]) if name == "data" else None)
    samples = Path("share", "gemini_workshop", "samples")
    assert paths.notebooks_folder() is None
    assert paths.samples_folder() == system / samples
    (user / samples).mkdir(parents=True)
    assert paths.samples_folder() == user / samples
    (system / samples).mkdir(parents=True)
    assert paths.samples_folder() == system / samples
