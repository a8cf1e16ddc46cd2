"""What a learner calls in a notebook: check, hint, solution and quiz."""

import inspect
from dataclasses import replace
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from gemini_workshop.exercises.core import my_gemini, progress, room
from gemini_workshop.exercises.core.catalogue import all_exercises, find, quiz_of
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.own_parts import is_own, own_or
from gemini_workshop.exercises.core.pristine import pristine_world
from gemini_workshop.exercises.core.quiz import Quiz
from gemini_workshop.exercises.core.verdict import Outcome, Verdict

MISSING = object()
OLDER = "They use the version of yours that passed before."
SAVED = "It passed on an earlier day. Until you write it here, the notebook uses the version that was saved."


def check(exercise_id: Any = None, function: Any = MISSING) -> Any:
    """Judge an answer, show the verdict, and return a function that works: the learner's if right, else the reference.

    So a notebook always runs to its end, and everything after a passed exercise runs on the learner's own code. Where
    nothing is written yet but an answer was saved on an earlier day, it is that answer.

    Raises:
        WorkshopError: there is no such exercise.
    """
    with pristine_world():
        if not isinstance(exercise_id, str) or function is MISSING:
            return _misspelled(exercise_id, function)
        exercise = find(exercise_id)
        verdict = judge(exercise, function, is_learners=True)
        _save(verdict)
        if trouble := room.tell(verdict):
            show(trouble)
        if verdict.outcome == Outcome.PASSED:
            show(verdict if verdict.source else _with_older(verdict))
            return function
        is_written = verdict.outcome not in (Outcome.NOT_STARTED, Outcome.NOT_YOURS)
        stand_in = exercise.reference if is_written else own_or(exercise.reference)
        show(replace(verdict, lines=(SAVED, *verdict.lines)) if is_own(stand_in) else verdict)
        return stand_in


def _misspelled(first: Any, second: Any) -> Any:
    """Show how a check is called; return what leaves the notebook as usable as it is."""
    known = all_exercises()
    name = getattr(first, "__name__", "")
    likely = [each for each in known.values() if each.id == first or each.title == name]
    exercise = likely[0] if likely else next(iter(known.values()))
    show(f'A check needs the number and your function: {exercise.title} = check("{exercise.id}", {exercise.title})')
    if isinstance(first, str):
        return find(first).reference
    return first if second is MISSING or isinstance(second, str) else second


def _with_older(verdict: Verdict) -> Verdict:
    """What could not be kept does not silently leave an earlier answer in its place."""
    older = verdict.exercise_id in my_gemini.kept()
    return replace(verdict, lines=(*verdict.lines, OLDER)) if older else verdict


def _save(verdict: Verdict) -> None:
    try:
        progress.note_verdict(verdict)
        if verdict.source:
            my_gemini.keep(verdict.exercise_id, verdict.title, verdict.source)
    except OSError as error:
        _tell_unsaved(error)


def _tell_unsaved(error: OSError) -> None:
    show(f"(Progress was not saved: {error.strerror}. Set GEMINI_WORKSHOP_HOME to a folder that can be written.)")


def hint(exercise_id: str) -> None:
    """Show the next of an exercise's three hints; after the third, all of them again."""
    exercise = find(exercise_id)
    try:
        progress.note_hint(exercise.id)
    except OSError as error:
        _tell_unsaved(error)
    taken = progress.load()[exercise.id].hints
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
    show(quiz_of(lesson))


def show(what: Verdict | Quiz | str) -> None:
    """Display in a notebook, print elsewhere."""
    if get_ipython() is not None and not isinstance(what, str):
        display(what)
    else:
        print(what)  # noqa: T201 (this is the one place where the exercises speak)
