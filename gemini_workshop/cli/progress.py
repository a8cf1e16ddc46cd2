"""gemini-workshop progress: what the learner has done."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from gemini_workshop.exercises.progress import Record


def progress() -> None:
    """Show which exercises have passed, and where to go on.

    Example: gemini-workshop progress
    """
    from gemini_workshop import paths
    from gemini_workshop.exercises import progress as records
    from gemini_workshop.exercises.core import all_exercises

    done = records.load()
    exercises = all_exercises().values()
    lesson = None
    for exercise in exercises:
        if exercise.lesson != lesson:
            lesson = exercise.lesson
            typer.echo(f"Lesson {lesson}")
        typer.echo(f"  {exercise.id}  {exercise.title:<32} {_standing(done.get(exercise.id, records.Record()))}")
    passed = [exercise for exercise in exercises if exercise.id in done and done[exercise.id].has_passed]
    typer.echo(f"\n{len(passed)} of {len(exercises)} passed, kept in {paths.home()}.")
    left = next((exercise for exercise in exercises if exercise not in passed), None)
    if left:
        typer.echo(
            f"Next: {left.id} {left.title}, about {_counted(left.minutes, 'minute')}. gemini-workshop lab {left.lesson}"
        )


def _standing(record: "Record") -> str:
    parts = ["passed" if record.has_passed else record.outcome]
    if record.attempts:
        parts.append(_counted(record.attempts, "attempt"))
    if record.hints:
        parts.append(_counted(record.hints, "hint"))
    return ", ".join(parts)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
