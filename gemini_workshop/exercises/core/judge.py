"""How an answer is judged: by what it computes, not by how it is written, and in a process of its own.

If the answer behaves on every case just like a known misconception, the verdict names it; otherwise it names the
first probe that fails (see :mod:`gemini_workshop.exercises.core.probes`). Either way it shows the smallest
counterexample.
"""

import importlib
import re
import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from gemini_workshop.exercises.core.alone import kept_source
from gemini_workshop.exercises.core.attempt import Attempt, CrashedError, NotStarted, UnfitAnswer
from gemini_workshop.exercises.core.borrowed import is_borrowed, sentence
from gemini_workshop.exercises.core.exercise import Arguments, Exercise
from gemini_workshop.exercises.core.isolation import Died, TimedOut, isolated
from gemini_workshop.exercises.core.plain import message_of, shown
from gemini_workshop.exercises.core.pristine import pristine_world
from gemini_workshop.exercises.core.probes import counterexample, problems
from gemini_workshop.exercises.core.recognition import recognize
from gemini_workshop.exercises.core.standalone import NotKept
from gemini_workshop.exercises.core.verdict import Outcome, Verdict

LIMIT_SECONDS = 10.0
LINE_CHARACTERS = 2000
NOT_IN_THE_ANSWER = "No line of yours was running then. Is this computer busy with something else? Run the cell again."


def judge(exercise: Exercise, answer: Any, limit_seconds: float | None = None, *, is_learners: bool = False) -> Verdict:
    """Examine an answer within a time limit. Nothing that the answer does can raise here, or reach the notebook.

    Args:
        limit_seconds: of the clock; LIMIT_SECONDS, if left out.
        is_learners: it has to be the learner's own, and what it needs to be kept comes with the verdict.
    """
    limit_seconds = LIMIT_SECONDS if limit_seconds is None else limit_seconds
    for name in exercise.imports:
        importlib.import_module(name)
    try:
        with pristine_world():
            work = partial(_examined, exercise, answer, is_learners)
            return Verdict.from_json(isolated(lambda: work().to_json(), limit_seconds))
    except TimedOut as late:
        lines = [f"It did not come back within {limit_seconds:g} seconds. Is there a loop that never ends?"]
        lines += [f"Then it was here: {late}" if str(late) else NOT_IN_THE_ANSWER]
    except Died as death:
        lines = ["It ended the Python process that runs the check (not your notebook's).", str(death)]
    return _verdict(exercise, Outcome.ERROR, *lines)


def _examined(exercise: Exercise, answer: Any, is_learners: bool) -> Verdict:
    """The verdict, also where an answer has found a way to break its own check."""
    warnings.simplefilter("ignore")  # torch's, about the learner's code; they are shown where the notebook runs it
    try:
        if line := exercise.wrong_kind(answer):
            return _verdict(exercise, Outcome.WRONG, line)
        cases = exercise.cases(torch.Generator().manual_seed(0))
        verdict = _examine(exercise, answer, Attempt(exercise.as_function(answer)), cases)
        return _examine_further(exercise, answer, cases, verdict) if is_learners else verdict
    except Exception as error:
        lines = "It gave a result that the check does not know how to compare.", message_of(error)
        return _verdict(exercise, Outcome.ERROR, *lines)


def _examine_further(exercise: Exercise, answer: Any, cases: list[Arguments], verdict: Verdict) -> Verdict:
    """Of what passed: is it the learner's own, and can it be kept for later lessons?"""
    if verdict.outcome != Outcome.PASSED:
        return verdict
    if is_borrowed(exercise, answer, cases):
        return _verdict(exercise, Outcome.NOT_YOURS, sentence(exercise, answer))
    try:
        return replace(verdict, source=kept_source(exercise, answer, cases))
    except NotKept as why:
        return replace(verdict, lines=(f"It cannot be saved for later lessons: {shown(str(why))}.",))


def _examine(exercise: Exercise, answer: Any, attempt: Attempt, cases: list[Arguments]) -> Verdict:
    try:
        problem = next(problems(exercise, answer, attempt, cases), None)
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
    known = recognize(exercise, attempt.function, cases)
    if known is not None:
        example = counterexample(exercise, attempt, cases) or problem
        says, name = known.says, known.name
        return _verdict(exercise, Outcome.WRONG, says, *example, mistake=name, printed=attempt.printed)
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
        lines=tuple(shown(line, LINE_CHARACTERS) for line in lines),
        mistake=mistake,
        printed=printed or "",
    )
