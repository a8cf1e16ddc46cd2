"""What holds for the exercises of every lesson: right answers pass, each known mistake is called by its name."""

import pytest
import torch

from gemini_workshop.exercises.attempt import UnfitAnswer
from gemini_workshop.exercises.comparison import same
from gemini_workshop.exercises.core import all_exercises, judge
from gemini_workshop.exercises.modules import ModuleExercise
from gemini_workshop.exercises.verdict import Outcome

EXERCISES = list(all_exercises().values())
MISTAKES = [(exercise, mistake) for exercise in EXERCISES for mistake in exercise.misconceptions]


def by_id(value):
    return getattr(value, "id", getattr(value, "name", None))


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


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=by_id)
def test_each_mistake_is_called_by_its_name_with_a_counterexample(exercise, mistake):
    verdict = judge(exercise, mistake.wrong)
    assert verdict.outcome == Outcome.WRONG
    assert verdict.mistake == mistake.name
    assert verdict.lines[0] == mistake.says
    assert "needed" in verdict.lines[1] or "should be" in verdict.lines[1]


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=by_id)
def test_each_mistake_is_called_by_its_name_on_other_random_cases_too(exercise, mistake):
    """The name must not hang on the seed: on fresh cases the mistake still differs from the oracle somewhere."""
    for seed in (11, 12, 13):
        cases = exercise.cases(torch.Generator().manual_seed(seed))
        assert any(_differs(exercise, mistake, case) for case in cases)


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
def test_names_are_unique_and_hints_are_three_different_ones(exercise):
    names = [mistake.name for mistake in exercise.misconceptions]
    assert len(set(names)) == len(names)
    assert len(set(exercise.hints)) == 3
    assert 1 <= exercise.minutes <= 60
