"""What is taken away before an answer computes values; in a process of its own, since it cannot be given back."""

import inspect
import sys

import pytest
import torch

from gemini_workshop.exercises.core import pristine
from gemini_workshop.exercises.core.attempt import Attempt
from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.comparison import same
from gemini_workshop.exercises.core.isolation import isolated
from gemini_workshop.exercises.core.modules import drawn_weights
from gemini_workshop.grading.fresh import candidates, drawn_cases
from gemini_workshop.grading.jailed import GoneError, Values, packed
from gemini_workshop.grading.outside import unpacked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes a process that is forked")


def raised(call):
    try:
        call()
    except Exception as error:
        return isinstance(error, GoneError) or isinstance(getattr(error, "cause", None), GoneError)
    return False


def test_reference_and_oracle_are_gone_and_stay_so_after_a_call():
    exercise = find("02.1")
    reference = inspect.unwrap(exercise.reference)  # without the checks of shapes that tests put around it
    case = drawn_cases(exercise, 0)[0]

    def work():
        pristine._is_left.clear()  # as in the jail, where no check has made this process
        Values("02.1", 1)
        first = raised(lambda: reference(*case)), raised(lambda: exercise.oracle(*case))
        Attempt(lambda: 1)()  # which puts back what an answer has changed
        return repr((*first, raised(lambda: reference(*case)))).encode()

    assert isolated(work, 30.0) == b"(True, True, True)"
    assert reference(*case) is not None


def test_weights_are_still_drawn_when_nobody_can_build_the_reference():
    exercise = find("03.3")
    build = drawn_cases(exercise, 0)[0][0]
    before = {name: float(weight.sum()) for name, weight in drawn_weights(exercise.reference, build).items()}

    def work():
        Values("03.3", 1)
        from gemini_workshop.exercises.core import modules

        now = {name: float(weight.sum()) for name, weight in modules.drawn_weights(exercise.reference, build).items()}
        return repr((now == before, raised(lambda: exercise.reference(**build.arguments)))).encode()

    assert isolated(work, 30.0) == b"(True, True)"


@pytest.mark.parametrize(
    "value",
    [
        torch.linspace(-1.0, 1.0, 6).reshape(2, 3),
        torch.tensor([], dtype=torch.float64),
        torch.tensor(True),
        torch.ones(2, dtype=torch.bfloat16),
        [1, (2.5, "a"), {"b": torch.arange(3)}, None, b"x"],
        float("inf"),
    ],
    ids=repr,
)
def test_a_value_comes_back_as_it_went(value):
    assert same(unpacked(packed(value)), value)


@pytest.mark.parametrize("sent", [("tensor", "torch.float32", [2], "AAAA"), ("tensor", "evil", [1], "AAAA")])
def test_what_is_not_a_tensor_is_refused(sent):
    with pytest.raises((ValueError, KeyError, RuntimeError)):
        unpacked(sent)


def test_the_cases_inside_are_those_outside():
    inside = candidates(find("02.2"), 3)
    assert all(same(a, b) for a, b in zip(inside, candidates(find("02.2"), 3), strict=True))
