"""Exercises and their checks: what a learner calls, and how an answer is judged.

An answer is judged by what it computes, not by how it is written. The probes run from the outside in: can it be
called, does it come back, are shape and type right, are the numbers finite, are the arguments left alone, does it
say the same twice, do the invariants hold, do the values agree with an independent oracle. If it fails, and behaves on
every case just like a known misconception, the verdict names that; otherwise the first failing probe speaks. Either
way the smallest counterexample is shown.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from IPython.core.getipython import get_ipython
from IPython.display import display
from torch import Tensor

from gemini_workshop import exercises
from gemini_workshop.errors import WorkshopError, unknown_name
from gemini_workshop.exercises import my_gemini, progress
from gemini_workshop.exercises.attempt import (
    LIMIT_SECONDS,
    Attempt,
    CrashedError,
    NotStarted,
    TimedOut,
    UnfitAnswer,
    within,
)
from gemini_workshop.exercises.comparison import finite_problem, same, shape_problem, value_problem, written
from gemini_workshop.exercises.quiz import Quiz
from gemini_workshop.exercises.verdict import Outcome, Verdict

Arguments = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Misconception:
    """A wrong implementation and the sentence that a learner who wrote it should read.

    Args:
        name: short, for tests and statistics: "not scaled".
        says: what is wrong, teaching the idea that was missed and not giving the line away.
        wrong: code that makes this mistake and no other.
    """

    name: str
    says: str
    wrong: Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Invariant:
    """A property that every right answer has.

    Args:
        broken: calls the function and returns a sentence if the property does not hold.
    """

    name: str
    broken: Callable[[Callable[..., Any]], str | None]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One function to write, and all that is needed to judge it.

    Args:
        id: lesson and number, "02.1".
        minutes: what a learner needs, roughly.
        reference: the package's own function; its name is the exercise's title.
        oracle: an independent way to the right values.
        cases: arguments to try, smallest first, drawn from the generator; no two axes of equal size.
        invariants: what holds for every right answer, checked before the values.
        misconceptions: known wrong answers, most frequent first.
        hints: three, from a nudge to nearly the line.
        explain: from the function and a failing case to a sentence in the lesson's own terms; None where it has none.
        shown: what ``solution`` prints; the reference where empty.
    """

    id: str
    minutes: int
    reference: Callable[..., Any]
    oracle: Callable[..., Any]
    cases: Callable[[torch.Generator], list[Arguments]]
    hints: tuple[str, str, str]
    invariants: tuple[Invariant, ...] = ()
    misconceptions: tuple[Misconception, ...] = ()
    explain: Callable[[Callable[..., Any], Arguments], str | None] | None = None
    shown: tuple[Callable[..., Any], ...] = field(default=())

    @property
    def title(self) -> str:
        """The name of the function to write."""
        return self.reference.__name__

    @property
    def lesson(self) -> str:
        """The lesson's two digits."""
        return self.id.split(".")[0]

    # What differs where a class is to be written: see gemini_workshop.exercises.modules.

    def as_function(self, answer: Any) -> Callable[..., Any]:
        """The function of a case's arguments by which an answer is judged."""
        return answer

    def wrong_kind(self, answer: Any) -> str | None:
        """A sentence if the answer is nothing that could be judged."""
        if callable(answer):
            return None
        return f"`{self.title}` is {type(answer).__name__}, not a function. Was the cell above run?"

    def signature_problem(self, answer: Any, case: Arguments) -> str | None:
        """A sentence if the answer cannot be called with the arguments of a case."""
        try:
            signature = inspect.signature(answer)
        except (TypeError, ValueError):  # built-in functions have none to show
            return None
        try:
            signature.bind(*case)
        except TypeError:
            names = ", ".join(self.parameter_names()[: len(case)])
            return f"It takes {signature}, but it is called with ({names}). Keep the first line as it was given."
        return None

    def parameter_names(self) -> list[str]:
        """What the arguments of a case are called."""
        return list(inspect.signature(self.reference).parameters)

    def result_axes(self) -> str:
        """The axis letters of the result, from the reference's jaxtyping annotation."""
        return getattr(inspect.signature(self.reference).return_annotation, "dim_str", "")


# --- What a learner calls --------------------------------------------------------------------------------------------


def check(exercise_id: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Judge an answer, show the verdict, and return a function that works: the learner's if right, else the reference.

    So a notebook always runs to its end, and everything after a passed exercise runs on the learner's own code.

    Raises:
        WorkshopError: there is no such exercise.
    """
    exercise = find(exercise_id)
    verdict = judge(exercise, function)
    has_passed = verdict.outcome == Outcome.PASSED
    try:
        progress.note_verdict(verdict)
        if has_passed:
            my_gemini.keep(exercise.id, exercise.title, function)
    except OSError as error:
        show(f"(Progress was not saved: {error.strerror}. Set GEMINI_WORKSHOP_HOME to a folder that can be written.)")
    show(verdict)
    return function if has_passed else exercise.reference


def hint(exercise_id: str) -> None:
    """Show the next of an exercise's three hints; after the third, all of them again."""
    exercise = find(exercise_id)
    taken = progress.note_hint(exercise.id)
    heading = f"{exercise.id} {exercise.title} · hint {min(taken, 3)} of 3"
    hints = exercise.hints if taken > 3 else exercise.hints[taken - 1 : taken]
    show("\n".join([heading, *(f"  {text}" for text in hints)]))


def solution(exercise_id: str) -> None:
    """Show the reference's code, once the exercise has been attempted."""
    exercise = find(exercise_id)
    record = progress.load().get(exercise.id)
    if record is None or record.attempts == 0:
        show(
            f"{exercise.id} {exercise.title} · not attempted yet\n"
            f'  Write something and run its check first, even if it is wrong. hint("{exercise.id}") helps.'
        )
        return
    show("\n\n".join(inspect.getsource(shown) for shown in exercise.shown or (exercise.reference,)))


def quiz(lesson: str) -> None:
    """Show a lesson's checkpoint questions; click an option to read why it is right or wrong.

    Raises:
        WorkshopError: the lesson has no quiz.
    """
    known = {module.removeprefix("lesson_"): module for module in _lesson_modules()}
    if lesson not in known:
        raise WorkshopError(unknown_name("quiz of lesson", lesson, known))
    show(importlib.import_module(f"{exercises.__name__}.{known[lesson]}").QUIZ)


# --- The exercises ---------------------------------------------------------------------------------------------------


def all_exercises() -> dict[str, Exercise]:
    """Every exercise of every lesson by id, in order."""
    found: dict[str, Exercise] = {}
    for module in _lesson_modules():
        lesson = importlib.import_module(f"{exercises.__name__}.{module}")
        found |= {exercise.id: exercise for exercise in lesson.EXERCISES}
    return found


def _lesson_modules() -> list[str]:
    names = (info.name for info in pkgutil.iter_modules(exercises.__path__))
    return sorted(name for name in names if name.startswith("lesson_"))


def find(exercise_id: str) -> Exercise:
    """The exercise of that id.

    Raises:
        WorkshopError: there is none; the message names the nearest.
    """
    known = all_exercises()
    if exercise_id not in known:
        raise WorkshopError(unknown_name("exercise", exercise_id, known))
    return known[exercise_id]


# --- How an answer is judged -----------------------------------------------------------------------------------------


def judge(exercise: Exercise, function: Any, limit_seconds: float = LIMIT_SECONDS) -> Verdict:
    """Examine an answer within a time limit. Nothing that the answer does can raise here."""
    if line := exercise.wrong_kind(function):
        return _verdict(exercise, Outcome.WRONG, line)
    attempt = Attempt(exercise.as_function(function))
    try:
        return within(limit_seconds, lambda: _examine(exercise, function, attempt))
    except TimedOut:
        line = f"It did not come back within {limit_seconds:g} seconds. Is there a loop that never ends?"
        return _verdict(exercise, Outcome.ERROR, line)


def _examine(exercise: Exercise, answer: Any, attempt: Attempt) -> Verdict:
    cases = exercise.cases(torch.Generator().manual_seed(0))
    try:
        problem = next(_problems(exercise, answer, attempt, cases), None)
    except NotStarted as gap:
        more = f'hint("{exercise.id}") gives a first nudge.'
        return _verdict(exercise, Outcome.NOT_STARTED, *_method_to_write(gap), more)
    except UnfitAnswer as unfit:
        problem, outcome = (str(unfit),), Outcome.WRONG
    except CrashedError as crash:
        problem, outcome = crash.lines, Outcome.ERROR
    else:
        if problem is None:
            return _verdict(exercise, Outcome.PASSED, printed=attempt.printed)
        outcome = Outcome.WRONG
    mistake = _recognise(exercise, attempt.function, cases)
    if mistake is not None:
        example = _counterexample(exercise, attempt, cases) or problem
        return _verdict(exercise, Outcome.WRONG, mistake.says, *example, mistake=mistake.name, printed=attempt.printed)
    more = f'hint("{exercise.id}") has more.'
    return _verdict(exercise, outcome, *problem, more, printed=attempt.printed)


def _method_to_write(gap: NotStarted) -> tuple[str, ...]:
    """A class may have two gaps, of which one is filled: say which method is left."""
    method = re.search(r"\.(\w+): your turn$", str(gap))
    return (f"`{method[1]}` is still to be written.",) if method else ()


def _verdict(
    exercise: Exercise, outcome: Outcome, *lines: str, mistake: str | None = None, printed: str | None = None
) -> Verdict:
    return Verdict(
        exercise_id=exercise.id,
        title=exercise.title,
        outcome=outcome,
        lines=lines,
        mistake=mistake,
        printed=printed or "",
    )


def _problems(exercise: Exercise, answer: Any, attempt: Attempt, cases: list[Arguments]) -> Iterator[tuple[str, ...]]:
    """What is wrong, from the outside in; lazily, so that the first problem costs no more than itself."""
    if line := exercise.signature_problem(answer, cases[0]):
        yield (line,)
    axes = exercise.result_axes()
    results = []
    for case in cases:
        got, expected = attempt(*case), exercise.oracle(*case)
        results.append((case, got, expected))
        if line := shape_problem(got, expected, axes):
            yield line, _given(exercise, case)
        if line := finite_problem(got, expected):
            yield line, _given(exercise, case)
        if attempt.changed_argument is not None:
            name = exercise.parameter_names()[attempt.changed_argument]
            yield (f"It changes its argument `{name}`. Work on a copy: the caller still needs the old values.",)
        if not same(attempt(*case), got):
            yield ("Called twice with the same arguments it gave two answers. Is something random left on?",)
    for invariant in exercise.invariants:
        if line := invariant.broken(attempt):
            yield (line,)
    for case, got, expected in results:
        if not same(got, expected):
            yield _explained(exercise, attempt, case, got, expected)


def _recognise(exercise: Exercise, function: Callable[..., Any], cases: list[Arguments]) -> Misconception | None:
    """The misconception that does the same as the learner's code on every case, right and wrong ones alike.

    At least one case must end in a wrong value, or be refused: that two functions crash alike says nothing about why.
    """
    learner = [_behaviour(function, case) for case in cases]
    right = [exercise.oracle(*case) for case in cases]
    for misconception in exercise.misconceptions:
        wrong = [_behaviour(exercise.as_function(misconception.wrong), case) for case in cases]
        is_alike = all(_same_behaviour(a, b) for a, b in zip(learner, wrong, strict=True))
        if is_alike and any(
            not isinstance(value, _Crash) and not same(value, expected)
            for value, expected in zip(wrong, right, strict=True)
        ):
            return misconception
    return None


@dataclass(frozen=True, slots=True)
class _Crash:
    """A call that ended in an error of this type."""

    kind: type[BaseException]


@dataclass(frozen=True, slots=True)
class _Refused:
    """A call that did not come about, because the answer is unfit for this reason."""

    reason: str


def _behaviour(function: Callable[..., Any], case: Arguments) -> Any:
    try:
        return Attempt(function)(*case)
    except NotStarted:
        return _Crash(NotImplementedError)
    except UnfitAnswer as unfit:
        return _Refused(str(unfit))
    except CrashedError as crash:
        return _Crash(type(crash.cause))


def _same_behaviour(a: Any, b: Any) -> bool:
    if isinstance(a, _Crash | _Refused) or isinstance(b, _Crash | _Refused):
        return bool(a == b)
    return same(a, b)


def _counterexample(exercise: Exercise, attempt: Attempt, cases: list[Arguments]) -> tuple[str, ...]:
    """What is wrong in the first case that ends in a wrong value."""
    for case in cases:
        try:
            got = attempt(*case)
        except (CrashedError, UnfitAnswer):
            continue
        expected = exercise.oracle(*case)
        if not same(got, expected):
            if line := shape_problem(got, expected, exercise.result_axes()):
                return line, _given(exercise, case)
            return _explained(exercise, attempt, case, got, expected)
    return ()


def _explained(exercise: Exercise, attempt: Attempt, case: Arguments, got: Any, expected: Any) -> tuple[str, ...]:
    if exercise.explain is not None:
        try:
            if line := exercise.explain(attempt, case):
                return (line,)
        except Exception:  # an explanation must never hide the verdict
            pass
    return value_problem(got, expected), _given(exercise, case)


def _given(exercise: Exercise, case: Arguments) -> str:
    """The arguments of a case in a few words: small ones whole, tensors of many numbers by their shape."""
    words = (f"{name} {_brief(value)}" for name, value in zip(exercise.parameter_names(), case, strict=False))
    return f"Given: {' · '.join(words)}."


def _brief(value: Any) -> str:
    if isinstance(value, Tensor):
        return str(tuple(value.shape)) if value.numel() > 6 else f"= {written(value.tolist())}"
    return f"= {getattr(value, '__name__', repr(value))}"


def show(what: Verdict | Quiz | str) -> None:
    """Display in a notebook, print elsewhere."""
    if get_ipython() is not None and not isinstance(what, str):
        display(what)
    else:
        print(what)  # noqa: T201 (this is the one place where the exercises speak)
