"""What holds for the exercises of every lesson: right answers pass, each known mistake is called by its name."""

import re
from pathlib import Path

import pytest
import torch

from gemini_workshop.exercises.core.attempt import UnfitAnswer
from gemini_workshop.exercises.core.catalogue import all_exercises, lessons
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.modules import ModuleExercise
from gemini_workshop.exercises.core.verdict import Outcome

EXERCISES = list(all_exercises().values())
MISTAKES = [(exercise, name) for exercise in EXERCISES for name in exercise.misconceptions]


def by_id(value):
    return getattr(value, "id", value)


@pytest.mark.usefixtures("shapes_checked")
@pytest.mark.parametrize("exercise", EXERCISES, ids=by_id)
def test_the_reference_passes(exercise):
    verdict = judge(exercise, exercise.reference)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


@pytest.mark.parametrize("exercise", EXERCISES, ids=by_id)
def test_the_oracle_passes_so_that_it_is_independent_of_the_reference_and_agrees_with_it(exercise):
    assert exercise.oracle is not exercise.reference
    generator = torch.Generator().manual_seed(3)
    for case in exercise.cases(generator):
        assert same(exercise.as_function(exercise.reference)(*case), exercise.oracle(*case))


@pytest.mark.parametrize(("exercise", "name"), MISTAKES, ids=by_id)
def test_each_mistake_is_called_by_its_name_with_a_counterexample(exercise, name):
    mistake = exercise.misconceptions[name]
    verdict = judge(exercise, mistake.wrong)
    assert verdict.outcome == Outcome.WRONG
    assert verdict.mistake == name
    assert verdict.lines[0] == mistake.says
    assert "needed" in verdict.lines[1] or "should be" in verdict.lines[1]


@pytest.mark.parametrize(("exercise", "name"), MISTAKES, ids=by_id)
def test_each_mistake_is_called_by_its_name_on_other_random_cases_too(exercise, name):
    """The name must not hang on the seed: on fresh cases the mistake still differs from the oracle somewhere."""
    for seed in (11, 12, 13):
        cases = exercise.cases(torch.Generator().manual_seed(seed))
        assert any(_differs(exercise, exercise.misconceptions[name], case) for case in cases)


def _differs(exercise, mistake, case):
    try:
        return not same(exercise.as_function(mistake.wrong)(*case), exercise.oracle(*case))
    except UnfitAnswer:
        return True
    except (RuntimeError, IndexError, ValueError):
        return False  # a crash names nothing


@pytest.mark.parametrize("exercise", EXERCISES, ids=by_id)
def test_an_untouched_gap_is_not_started(exercise):
    def gap(*args, **kwargs):
        raise NotImplementedError("your turn")

    assert judge(exercise, _answer(exercise, gap)).outcome == Outcome.NOT_STARTED


def _answer(exercise, function):
    """A function as the answer to an exercise; where a class is asked for, one that does this when it is called."""
    if not isinstance(exercise, ModuleExercise):
        return function
    return type(exercise.title, (exercise.reference,), {"forward": lambda self, *args: function(*args)})


@pytest.mark.parametrize("exercise", EXERCISES, ids=by_id)
def test_returning_nothing_is_said_in_words(exercise):
    verdict = judge(exercise, _answer(exercise, lambda *args: None))
    assert verdict.outcome == Outcome.WRONG
    assert "returned nothing" in verdict.lines[0]


@pytest.mark.parametrize("exercise", EXERCISES, ids=by_id)
def test_hints_are_three_different_ones(exercise):
    assert len(set(exercise.hints)) == 3
    assert 1 <= exercise.minutes <= 60


def test_every_exercise_has_a_file_named_like_it_in_the_folder_of_its_lesson():
    for digits, lesson in lessons().items():
        folder = Path(lesson.__file__).parent
        files = {path.stem for path in folder.glob("*.py")} - {"__init__", "quiz", "tools"}
        assert files == {_snake(exercise.title) for exercise in lesson.EXERCISES}
        assert {exercise.lesson for exercise in lesson.EXERCISES} == {digits}
        assert (folder / "quiz.py").exists() == hasattr(lesson, "QUIZ")


def _snake(title):
    """RMSNorm becomes rms_norm."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", title).lower()
