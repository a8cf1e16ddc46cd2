"""What runs in the jail: an answer of somebody unknown, and a loop that answers what is asked about it.

There are two questions, each asked in a jail of its own. The *verdict* is the exercise's own check, with all that it
says to a learner; since it runs beside the answer, it may be forged, and passing there is a claim and no more. The
*values* are what the answer computes for fresh cases. They are compared outside, and here the package's own function,
its oracle and their files are gone: whoever relies on them has nothing to call.
"""

import base64
import contextlib
import linecache
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.evaluation.sandbox import inside
from gemini_workshop.exercises.core import judge as judging
from gemini_workshop.exercises.core import modules
from gemini_workshop.exercises.core.attempt import Attempt, CrashedError, NotStarted, UnfitAnswer
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.crash import describe_crash
from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.modules import Build, ModuleExercise
from gemini_workshop.exercises.core.pristine import remember
from gemini_workshop.exercises.core.verdict import Outcome, Verdict
from gemini_workshop.grading.fresh import PUBLIC_SEED, candidates

DTYPES = {
    str(dtype): dtype
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.bool)
}
EXERCISES = all_exercises()  # now: in the jail of values, the files that list them are hidden
Parts = list[list[str]]


PATIENCE = 3  # how much longer something may take that may not be to blame
BORROWED = "borrowed"
LATE = "It did not come back"


class GoneError(Exception):
    """The package's own answer was called where values are computed."""


def verdict(exercise_id: str, parts: Parts, seconds: float) -> str:
    """What the exercise's check says to this answer, as JSON."""
    exercise = EXERCISES[exercise_id]
    try:
        with _alarm(PATIENCE * seconds):
            answer = defined(parts, exercise.title)
    except BaseException as error:  # whatever the learner's cells raise, SystemExit too
        lines = describe_crash(error)
        failed = Verdict(
            exercise_id=exercise.id,
            title=exercise.title,
            outcome=Outcome.ERROR,
            lines=("A cell that this answer needs ends in an error.", *lines),
        )
        return failed.to_json().decode()
    before = os.times()
    found = judging.judge(exercise, answer, seconds, is_learners=True)
    worked = sum(os.times()[2:4]) - sum(before[2:4])
    if any(line.startswith(LATE) for line in found.lines) and worked < seconds / 2:  # the machine was busy with others
        found = judging.judge(exercise, answer, PATIENCE * seconds, is_learners=True)
    return found.to_json().decode()


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Interrupt what takes longer; it may defend itself, and is ended from outside then."""

    def late(*_: Any) -> None:
        raise TimeoutError(f"This was not done within {seconds:g} seconds.")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class Values:
    """An answer, and the cases for which its values are wanted."""

    def __init__(self, exercise_id: str, seed: int) -> None:
        self.exercise = EXERCISES[exercise_id]
        self.cases = candidates(self.exercise, PUBLIC_SEED) + candidates(self.exercise, seed)
        take_away(self.exercise, self.cases)

    def define(self, parts: Parts) -> None:
        """Run the learner's statements."""
        self.attempt = Attempt(self.exercise.as_function(defined(parts, self.exercise.title)))

    def value(self, number: int) -> Any:
        """The value for a case, or why there is none."""
        try:
            return {"value": packed(self.attempt(*self.cases[number]))}
        except GoneError:
            return {"problem": BORROWED}
        except CrashedError as crash:
            return {"problem": BORROWED if isinstance(crash.cause, GoneError) else " ".join(crash.lines)}
        except (NotStarted, UnfitAnswer) as error:
            return {"problem": str(error)}


class Loop(inside.Loop):
    """Answers the questions about one answer."""

    def __init__(self) -> None:
        super().__init__()
        tempfile.tempdir = None  # what was found before there was a jail is not to be found in it

    def answer(self, verb: str, *contents: Any) -> Any:
        """A verdict, or values: ``cases``, ``define`` and ``value``, in this order."""
        if verb == "verdict":
            return verdict(*contents)
        if verb == "cases":
            self.values = Values(*contents)
            return None
        if verb == "define":
            return self.values.define(*contents)
        return self.values.value(*contents)


run = partial(inside.run, Loop)


def defined(parts: Parts, title: str) -> Any:
    """What a name means after these cells have run, as in a notebook's kernel."""
    kernel = ModuleType("__main__")
    sys.modules["__main__"] = kernel
    for name, text in parts:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), vars(kernel))  # noqa: S102 (in a jail, which is what it is for)
    return vars(kernel)[title]


def packed(value: Any) -> Any:
    """A plain value whose tensors are bytes."""
    if isinstance(value, Tensor):
        content = value.detach().cpu().contiguous()
        content = content if str(content.dtype) in DTYPES else content.double()
        data = content.reshape(-1).view(torch.uint8).numpy().tobytes() if content.numel() else b""
        return ("tensor", str(content.dtype), list(content.shape), base64.b64encode(data).decode())
    if isinstance(value, list | tuple):
        return type(value)(map(packed, value)) if type(value) in (list, tuple) else list(map(packed, value))
    if isinstance(value, dict):
        return {packed(key): packed(each) for key, each in value.items()}
    if isinstance(value, torch.dtype | torch.device):
        return str(value)
    return value if isinstance(value, int | float | str | bytes | None) else packed_array(value)


def packed_array(value: Any) -> Any:
    """An array of NumPy as a tensor; anything else as the name of its type, which equals no result."""
    with contextlib.suppress(TypeError, RuntimeError, ValueError):
        return packed(torch.as_tensor(value))
    return f"<{type(value).__name__}>"


def take_away(exercise: Exercise, cases: list[Arguments]) -> None:
    """Let the reference and everything that is right without a learner raise, whoever still has a hold of it."""
    if isinstance(exercise, ModuleExercise):
        _keep_weights(exercise, cases)
    right = [exercise.reference, exercise.plain, *(each.template for each in exercise.misconceptions.values())]
    if not isinstance(exercise, ModuleExercise):  # there, parameters are matched by it
        right.append(exercise.oracle)
    for each in right:
        for function in _functions(each):
            with contextlib.suppress(ValueError):
                function.__code__ = _raising(function.__code__)
    remember(EXERCISES.values())  # or else it would be put back after the first call


def _keep_weights(exercise: ModuleExercise, cases: list[Arguments]) -> None:
    """Draw the weights of all cases now: later nobody can build the reference."""
    builds = [case[0] for case in cases if case and isinstance(case[0], Build)]
    drawn: dict[str, dict[str, Tensor]] = {}
    for build in builds:
        with contextlib.suppress(Exception):  # of a case that is none
            drawn[repr(build)] = modules.drawn_weights(exercise.reference, build)

    def kept(reference: type, build: Build) -> dict[str, Tensor]:  # noqa: ARG001 (as the function that it replaces)
        return {name: weight.clone() for name, weight in drawn[repr(build)].items()}

    for module in list(sys.modules.values()):
        if vars(module).get("drawn_weights") is modules.drawn_weights and module is not modules:
            vars(module)["drawn_weights"] = kept
    modules.drawn_weights = kept


def _functions(value: Callable[..., Any] | type | None) -> Iterator[FunctionType]:
    """The functions of Python behind something that can be called."""
    if isinstance(value, type):
        for each in vars(value).values():
            yield from _functions(each if isinstance(each, FunctionType) else None)
        return
    while value is not None and not isinstance(value, FunctionType):
        value = getattr(value, "__wrapped__", None) or getattr(value, "func", None)
    while isinstance(value, FunctionType):
        yield value
        value = getattr(value, "__wrapped__", None)


def _raising(code: CodeType) -> CodeType:
    """Code that raises in place of other code with the same free variables. It needs no name from around it."""
    module = compile("def gone(*_, **__): raise 'the error'", "<gone>", "exec")
    template = next(each for each in module.co_consts if isinstance(each, CodeType))
    constants = tuple(GoneError if each == "the error" else each for each in template.co_consts)
    return template.replace(co_freevars=code.co_freevars, co_consts=constants)
