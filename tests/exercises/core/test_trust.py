"""Code that a check on this account did not write runs only if whoever sits here says so."""

import builtins
import importlib.util
import io
import py_compile

import pytest

from gemini_workshop.exercises.core import my_gemini
from gemini_workshop.exercises.core.own_parts import own_or
from gemini_workshop.exercises.core.trust import Foreign
from gemini_workshop.models.masks import causal_mask

MINE = "def f():\n    return 'mine'\n"
THEIRS = "raise SystemExit('it ran')\n"


@pytest.fixture(autouse=True)
def learner_home(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path))
    my_gemini.folder().mkdir()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))  # not a terminal
    return tmp_path


@pytest.fixture
def terminal(monkeypatch):
    """Someone at a terminal who answers; the questions that were asked."""

    def answering(answer):
        asked = []
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr(builtins, "input", lambda question: asked.append(question) or answer)
        return asked

    monkeypatch.setattr("sys.stdin", type("Terminal", (io.StringIO,), {})())
    return answering


def test_what_a_check_kept_runs_unasked():
    my_gemini.keep("02.3", "f", MINE)
    assert my_gemini.load("02.3", "f")() == "mine"


@pytest.mark.parametrize("name", ["ex_02_3.py", "ex_06_2.py"])
def test_without_anyone_to_ask_what_came_from_elsewhere_does_not_run(name):
    my_gemini.keep("02.3", "f", MINE)
    (my_gemini.folder() / name).write_text(THEIRS)
    with pytest.raises(Foreign, match=rf"{name} was not written by a check on this account, or was changed since\."):
        my_gemini.load(name[3:7].replace("_", "."), "f")


@pytest.mark.parametrize("answer", ["y", "Yes "])
def test_a_yes_is_remembered_for_this_content_alone(terminal, answer):
    asked = terminal(answer)
    path = my_gemini.folder() / "ex_02_3.py"
    path.write_text(MINE)
    for _ in range(2):
        assert my_gemini.load("02.3", "f")() == "mine"
    assert len(asked) == 1
    assert str(path) in asked[0]
    path.write_text(MINE + "\n")
    my_gemini.load("02.3", "f")
    assert len(asked) == 2


@pytest.mark.parametrize("answer", ["", "n", "no", "x"])
def test_all_but_yes_is_no(terminal, answer):
    terminal(answer)
    (my_gemini.folder() / "ex_02_3.py").write_text(THEIRS)
    with pytest.raises(Foreign):
        my_gemini.load("02.3", "f")


def test_a_notebook_that_is_run_without_a_browser_cannot_answer(monkeypatch):
    def no_input(_):
        raise NotImplementedError

    no_input.__module__ = "ipykernel.kernelbase"
    monkeypatch.setattr(builtins, "input", no_input)
    (my_gemini.folder() / "ex_02_3.py").write_text(THEIRS)
    with pytest.raises(Foreign):
        my_gemini.load("02.3", "f")


def test_a_compiled_file_beside_it_does_not_run_in_its_place():
    path = my_gemini.keep("02.3", "f", MINE)
    other = my_gemini.folder() / "other.py"
    other.write_text(THEIRS)
    compiled = importlib.util.cache_from_source(str(path))
    py_compile.compile(str(other), compiled, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert my_gemini.load("02.3", "f")() == "mine"


def test_a_damaged_list_trusts_nothing(learner_home):
    my_gemini.keep("02.3", "f", MINE)
    for content in ("", "[]", '{"ex_02_3.py": 1}'):
        (learner_home / "kept.json").write_text(content)
        with pytest.raises(Foreign):
            my_gemini.load("02.3", "f")


def test_a_lesson_goes_on_with_the_packages_part_and_says_why():
    (my_gemini.folder() / "ex_02_3.py").write_text(THEIRS)
    with pytest.warns(UserWarning, match="It does not run"):
        assert own_or(causal_mask) is causal_mask
