"""The smallest lesson of docs/authoring.md works as it is printed there."""

import importlib
import re
import sys
from types import ModuleType

import pytest

from gemini_workshop import exercises
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome
from tests.clone import TOP

BLOCKS = re.findall(r"```python\n(.*?)```", (TOP / "docs" / "authoring.md").read_text("utf-8"), flags=re.DOTALL)


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """The folder of the page, imported as a lesson of the package."""
    folder = tmp_path / "lesson_77"
    folder.mkdir()
    for name, start in {
        "__init__": "Lesson 77, numbers: its",
        "double": "Exercise 77.1",
        "quiz": "Lesson 77, numbers: q",
    }.items():
        (block,) = (block for block in BLOCKS if block.startswith(f'"""{start}'))
        (folder / f"{name}.py").write_text(block, "utf-8")
    taught = ModuleType("gemini_workshop.models.numbers")
    taught.double = lambda x: 2 * x
    taught.double.__name__ = "double"
    monkeypatch.setitem(sys.modules, taught.__name__, taught)
    monkeypatch.setattr(exercises, "__path__", [*exercises.__path__, str(tmp_path)])
    yield importlib.import_module("gemini_workshop.exercises.lesson_77")
    for name in [name for name in sys.modules if "lesson_77" in name]:
        del sys.modules[name]


def test_its_exercise_passes_and_knows_its_mistakes(lesson):
    (exercise,) = lesson.EXERCISES
    assert judge(exercise, lambda x: x + x).outcome == Outcome.PASSED
    for name, mistake in exercise.misconceptions.items():
        assert judge(exercise, mistake.wrong).mistake == name


def test_its_quiz_has_one_question(lesson):
    (question,) = lesson.QUIZ.questions
    assert [option.is_right for option in question.options] == [False, True]
