"""The exercises and quizzes of every lesson: each folder ``lesson_NN`` lists its own."""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from gemini_workshop.errors import WorkshopError, unknown_name
from gemini_workshop.exercises.core.exercise import Exercise
from gemini_workshop.exercises.core.quiz import Quiz

EXERCISES = Path(__file__).parents[1]
PACKAGE = __name__.rsplit(".", 2)[0]


def all_exercises() -> dict[str, Exercise]:
    """Every exercise of every lesson by id, in order."""
    return {exercise.id: exercise for lesson in lessons().values() for exercise in lesson.EXERCISES}


def lessons() -> dict[str, ModuleType]:
    """The package of every lesson's exercises by the lesson's two digits, in order."""
    names = sorted(info.name for info in pkgutil.iter_modules([str(EXERCISES)]) if info.name.startswith("lesson_"))
    return {name.removeprefix("lesson_"): importlib.import_module(f"{PACKAGE}.{name}") for name in names}


def find(exercise_id: str) -> Exercise:
    """The exercise of that id; "2.1" is 02.1.

    Raises:
        WorkshopError: there is none; the message names the nearest.
    """
    known = all_exercises()
    full = exercise_id.zfill(4)
    if full not in known:
        raise WorkshopError(unknown_name("exercise", exercise_id, known))
    return known[full]


def quiz_of(lesson: str) -> Quiz:
    """The questions of a lesson.

    Raises:
        WorkshopError: the lesson has none.
    """
    known = {name: package.QUIZ for name, package in lessons().items() if hasattr(package, "QUIZ")}
    if lesson not in known:
        raise WorkshopError(unknown_name("quiz of lesson", lesson, known))
    return known[lesson]
