"""The battery: what is asked of every answer whose values are right, of every lesson, the plainest first."""

from typing import Any

from gemini_workshop.exercises.core.battery.calls import beyond_problem, name_problem
from gemini_workshop.exercises.core.battery.gradients import gradient_problem
from gemini_workshop.exercises.core.battery.kinds import kind_problem
from gemini_workshop.exercises.core.battery.memory import state_problem
from gemini_workshop.exercises.core.battery.precision import precision_problem
from gemini_workshop.exercises.core.battery.relatives import relatives_problem
from gemini_workshop.exercises.core.battery.starts import start_problem
from gemini_workshop.exercises.core.exercise import Arguments, Exercise


def battery_problem(exercise: Exercise, answer: Any, cases: list[Arguments]) -> tuple[str, ...] | None:
    """What is wrong with an answer that gives the right values, in sentences; None if nothing is."""
    return (
        name_problem(exercise, answer)
        or start_problem(exercise, answer, cases)
        or state_problem(exercise, answer, cases)
        or beyond_problem(exercise, answer)
        or kind_problem(exercise, answer, cases)
        or gradient_problem(exercise, answer, cases)
        or precision_problem(exercise, answer, cases)
        or relatives_problem(exercise, answer, cases)
    )
