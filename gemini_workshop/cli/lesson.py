"""``gemini-workshop lesson``: start a lesson again, update it, see what you changed, get the solution."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.options import Commands

if TYPE_CHECKING:
    from gemini_workshop.lessons.changes import Change
    from gemini_workshop.lessons.folder import LessonCopy

Lesson = Annotated[str, typer.Argument(help="Number of the lesson, such as 02.")]
Folder = Annotated[
    Path | None,
    typer.Option(help="Your folder of lessons; default: GEMINI_WORKSHOP_LESSONS, or gemini-lessons in your home."),
]

app = Commands(help="Manage your copies of the lessons.", no_args_is_help=True)


@app.command()
def reset(lesson: Lesson, folder: Folder = None) -> None:
    """Start a lesson again from a fresh starter.

    Your notebook is kept beside it, with the date at the end of its name. Answers that passed stay saved, and their
    checks still find them. Close the notebook in JupyterLab first.

    Examples:

      gemini-workshop lesson reset 02
    """
    from datetime import date

    from gemini_workshop.lessons.folder import find_copy, start_again

    copy = find_copy(_folder(folder), lesson)
    kept = start_again(copy, date.today())
    typer.echo(f"Lesson {copy.lesson} starts again: {copy.mine}")
    if kept:
        typer.echo(f"Your notebook is kept: {kept}")


@app.command()
def update(
    lesson: Annotated[str | None, typer.Argument(help="Number of the lesson; all of yours if left out.")] = None,
    folder: Folder = None,
) -> None:
    """Take over a newer starter, with your answers in it.

    An answer moves into the new starter if the lesson's cell is still the same. If the lesson changed that cell too,
    the new notebook has the lesson's cell and, below it, yours as text. Your notebook as it was is kept beside it, with
    the date at the end of its name. Close the notebook in JupyterLab first.

    Examples:

      gemini-workshop lesson update

      gemini-workshop lesson update 02
    """
    from gemini_workshop.lessons.folder import begun_copy, copies

    place = _folder(folder)
    wanted = [begun_copy(place, lesson)] if lesson else [each for each in copies(place).values() if each.mine.is_file()]
    behind = [copy for copy in wanted if copy.is_behind]
    for copy in behind:
        _update(copy)
    if not behind:
        what = f"Lesson {wanted[0].lesson} is" if lesson else f"Your {len(wanted)} lessons in {place} are"
        typer.echo(f"{what} up to date.")


@app.command()
def diff(lesson: Lesson, folder: Folder = None) -> None:
    """Show what you changed in a lesson, exercise by exercise.

    Lines with + are yours, lines with - are the starter's.

    Examples:

      gemini-workshop lesson diff 02
    """
    from gemini_workshop.exercises.core import progress
    from gemini_workshop.exercises.core.catalogue import all_exercises
    from gemini_workshop.lessons.cells import read_notebook
    from gemini_workshop.lessons.changes import changes
    from gemini_workshop.lessons.folder import begun_copy

    copy = begun_copy(_folder(folder), lesson)
    found = list(changes(read_notebook(copy.began_as), read_notebook(copy.mine)))
    records = progress.load()
    for exercise in all_exercises().values():
        if exercise.lesson == copy.lesson:
            record = records.get(exercise.id, progress.Record())
            outcome = "passed" if record.has_passed else record.outcome
            changed = [change for change in found if change.exercise == exercise.id]
            _show(f"{exercise.id} {exercise.title} · {outcome}", changed, "unchanged")
    _show("Other cells", [change for change in found if not change.exercise], "unchanged")


@app.command()
def solution(lesson: Lesson, folder: Folder = None) -> None:
    """Put the solved lesson beside yours.

    It is the same notebook with all answers and outputs. For one answer, write solution("02.1") in a cell.

    Examples:

      gemini-workshop lesson solution 02
    """
    from gemini_workshop.errors import WorkshopError
    from gemini_workshop.files import write_atomically
    from gemini_workshop.lessons.folder import find_copy

    copy = find_copy(_folder(folder), lesson)
    if copy.solution is None:
        raise WorkshopError(
            f'Lesson {copy.lesson} has no separate solution. Write solution("{copy.lesson}.1") in a cell.'
        )
    place = copy.mine.with_name(copy.solution.name)
    if place.exists():
        typer.echo(f"The solution is already there: {place}")
        return
    write_atomically(place, copy.solution.read_bytes())
    typer.echo(f"The solution is beside your notebook: {place}")


def _folder(folder: Path | None) -> Path:
    from gemini_workshop import paths

    return (folder or paths.lessons_folder()).expanduser().absolute()


def _update(copy: "LessonCopy") -> None:
    """Update one lesson and say what became of the learner's cells."""
    from datetime import date

    import nbformat

    from gemini_workshop.lessons.cells import read_notebook
    from gemini_workshop.lessons.folder import set_aside, write_copy
    from gemini_workshop.lessons.update import updated

    new = updated(read_notebook(copy.began_as), read_notebook(copy.mine), read_notebook(copy.shipped))
    kept = set_aside(copy.mine, date.today())
    write_copy(copy, (nbformat.writes(new.notebook) + "\n").encode())
    typer.echo(f"Lesson {copy.lesson} is up to date: {copy.mine}")
    typer.echo(f"  Carried over: {_listed(new.carried)}.")
    if new.both:
        typer.echo(f"  Changed by you and by the lesson, both versions kept in the notebook: {_listed(new.both)}.")
    typer.echo(f"  Your notebook as it was: {kept}")


def _listed(names: list[str]) -> str:
    """Names with how often each occurs: ``02.1, 2 × a cell``."""
    counts = {name: names.count(name) for name in names}
    return ", ".join(name if times == 1 else f"{times} × {name}" for name, times in counts.items()) or "nothing"


def _show(heading: str, changed: list["Change"], otherwise: str) -> None:
    typer.echo(heading if changed else f"{heading} · {otherwise}")
    for change in changed:
        typer.echo("\n".join(f"  {line}" for line in change.lines) + "\n")
