"""gemini-workshop progress: show the exercises that have passed."""

import dataclasses
from typing import TYPE_CHECKING

import typer

from gemini_workshop.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from gemini_workshop.exercises.core.progress import Record


def progress(as_json: AsJson = False) -> None:
    """Show which exercises have passed, and which is next.

    Examples:

        gemini-workshop progress

        gemini-workshop progress --json
    """
    from gemini_workshop import paths
    from gemini_workshop.exercises.core import progress as records
    from gemini_workshop.exercises.core.catalogue import all_exercises

    done = records.load()
    exercises = all_exercises().values()
    if as_json:
        found = [
            {"exercise": each.id, "name": each.title} | dataclasses.asdict(done.get(each.id, records.Record()))
            for each in exercises
        ]
        print_json(found)
        return
    lesson = None
    for exercise in exercises:
        if exercise.lesson != lesson:
            lesson = exercise.lesson
            typer.echo(f"Lesson {lesson}")
        typer.echo(f"  {exercise.id}  {exercise.title:<32} {_status(done.get(exercise.id, records.Record()))}")
    passed = [exercise for exercise in exercises if exercise.id in done and done[exercise.id].has_passed]
    typer.echo(f"\n{len(passed)} of {len(exercises)} passed, saved in {paths.home()}.")
    left = next((exercise for exercise in exercises if exercise not in passed), None)
    if left:
        typer.echo(
            f"Next: {left.id} {left.title}, about {_count(left.minutes, 'minute')}. gemini-workshop lab {left.lesson}"
        )


def _status(record: "Record") -> str:
    parts = ["passed" if record.has_passed else record.outcome]
    if record.attempts:
        parts.append(_count(record.attempts, "attempt"))
    if record.hints:
        parts.append(_count(record.hints, "hint"))
    return ", ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
