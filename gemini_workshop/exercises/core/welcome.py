"""Where a learner stands when a lesson is opened again on another day."""

from gemini_workshop.exercises.core import my_gemini, progress
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.exercise import Exercise


def welcome_back(lesson: str) -> None:
    """Say which exercises of a lesson have passed and how to continue; nothing on the first day."""
    if text := greeting([exercise for exercise in all_exercises().values() if exercise.lesson == lesson]):
        print(text)  # noqa: T201 (a learner calls this in a notebook)


def greeting(exercises: list[Exercise]) -> str:
    """What to say to someone who comes back to these exercises; empty if none of them has passed."""
    records, kept = progress.load(), my_gemini.kept()
    passed = [each for each in exercises if each.id in records and records[each.id].has_passed]
    if not passed:
        return ""
    have = "has" if len(passed) == 1 else "have"
    saved = [each for each in passed if each.id in kept]
    where = f"Your code is saved for {_listed(saved)}." if saved else "Your code is in this notebook alone."
    if saved == passed:
        where = "Your code is saved."
    return f"Welcome back: {_listed(passed)} {have} passed. {where}\n{_next(exercises, passed)}"


def _next(exercises: list[Exercise], passed: list[Exercise]) -> str:
    left = [each for each in exercises if each not in passed]
    if not left:
        return "Nothing is left to write. To see it all again, choose Run > Run All Cells."
    return f"Next: {_name(left[0])}. Click into its cell and choose Run > Run All Above Selected Cell."


def _name(exercise: Exercise) -> str:
    return f"{exercise.id} {exercise.title}"


def _listed(exercises: list[Exercise]) -> str:
    *first, last = map(_name, exercises)
    return f"{', '.join(first)} and {last}" if first else last
