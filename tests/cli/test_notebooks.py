import sys

import pytest

from gemini_workshop.cli.main import main
from gemini_workshop.exercises.core import catalogue
from tests.authoring.lessons import BODY, notebooks_with


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command; give its exit code, what it printed and what it said on stderr."""
    monkeypatch.setattr(catalogue, "all_exercises", lambda: {"90.1": None})

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gemini-workshop", "notebooks", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capsys.readouterr()

    return run


def test_what_is_built_checks_and_an_edited_source_does_not(run, tmp_path):
    notebooks = notebooks_with(tmp_path)
    code, printed, _ = run("build", "--folder", notebooks)
    assert code == 0
    assert "wrote part9_tests/90_tests_starter.ipynb\n" in printed
    code, printed, _ = run("check", "--folder", notebooks)
    assert (code, printed) == (0, "1 lessons: committed notebooks and sources agree.\n")

    notebooks_with(tmp_path, BODY.replace("# A lesson for tests", "# A better lesson"))
    code, printed, _ = run("check", "90", "--no-execute", "--folder", notebooks)
    assert code == 1
    assert "90_tests_starter.ipynb · cell 90-000" in printed
    assert "  - # A lesson for tests\n  + # A better lesson" in printed


def test_check_names_a_notebook_without_a_source(run, tmp_path):
    notebooks = notebooks_with(tmp_path, "# %% [markdown]\n# # Text\n", kind="single", part='""')
    (notebooks / "91_old.ipynb").write_text("{}", "utf-8")
    assert run("build", "--no-execute", "--folder", notebooks)[0] == 0
    code, printed, _ = run("check", "--no-execute", "--folder", notebooks)
    assert (code, printed) == (1, "91_old.ipynb has no source. Delete it.\n")


def test_a_source_with_problems_is_not_built_and_each_is_named_with_its_line(run, tmp_path):
    notebooks = notebooks_with(tmp_path, "# %%\nimport no_such_library\nplt.plot([1])\n")
    code, _, said = run("build", "--folder", notebooks)
    assert code == 2
    assert [line.partition(": ")[0] for line in said.splitlines()] == ["90_tests.py:14", "90_tests.py:15"]
    assert not (notebooks / "part9_tests").exists()


def test_an_unknown_lesson_is_one_sentence(run, tmp_path):
    code, _, said = run("build", "91", "--folder", notebooks_with(tmp_path))
    assert (code, said) == (2, "There is no lesson '91'. Did you mean '90'? Known: 90.\n")


def test_without_the_tools_for_authors_it_says_how_to_get_them(run, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "gemini_workshop.authoring.lint", raising=False)
    monkeypatch.delitem(sys.modules, "gemini_workshop.authoring.source", raising=False)
    monkeypatch.setitem(sys.modules, "jupytext", None)
    code, _, said = run("check", "--folder", notebooks_with(tmp_path))
    assert code == 2
    assert "Building notebooks needs jupytext. Run: pip install -e '.[dev]'" in said
