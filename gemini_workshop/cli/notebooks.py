"""``gemini-workshop notebooks``: build the lessons' notebooks from their sources, and check that they agree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tqdm import tqdm

    from gemini_workshop.authoring.source import Lesson

Lessons = Annotated[list[str] | None, typer.Argument(help="Lesson ids, such as 02; all lessons if left out.")]
Execute = Annotated[bool, typer.Option(help="Run the solutions. Without it, outputs stored earlier are kept.")]
Folder = Annotated[Path | None, typer.Option(help="The notebooks folder; default: the one beside the package.")]


def register(app: typer.Typer) -> None:
    """Add the command group to the application."""
    group = typer.Typer(help="Build the lessons' notebooks from their sources.", no_args_is_help=True)
    group.command()(build)
    group.command()(check)
    app.add_typer(group, name="notebooks")


def build(lessons: Lessons = None, execute: Execute = True, folder: Folder = None) -> None:
    """Write starters and solutions.

    Examples:

      gemini-workshop notebooks build

      gemini-workshop notebooks build 02 --no-execute
    """
    notebooks = folder or _default_folder()
    sources = _read(notebooks, lessons)

    from gemini_workshop.authoring import build as authoring

    with _progress(sources, execute) as bar:
        for lesson in sources:
            bar.set_description(f"lesson {lesson.id}")
            built = authoring.build(lesson, notebooks, execute=execute, on_cell=bar.update)
            for name in authoring.write(built, notebooks):
                bar.write(f"wrote {name}")


def check(lessons: Lessons = None, execute: Execute = True, folder: Folder = None) -> None:
    """Rebuild without writing; fail if a committed notebook is not what its source gives.

    Examples:

      gemini-workshop notebooks check

      gemini-workshop notebooks check 02 --no-execute
    """
    notebooks = folder or _default_folder()
    sources = _read(notebooks, lessons)

    from gemini_workshop.authoring.check import differences, orphans

    found = [] if lessons else [f"{name} has no source. Delete it." for name in orphans(sources, notebooks)]
    with _progress(sources, execute) as bar:
        for lesson in sources:
            bar.set_description(f"lesson {lesson.id}")
            found += differences(lesson, notebooks, execute=execute, on_cell=bar.update)
    for difference in found:
        print(difference)
    if found:
        raise typer.Exit(1)
    print(f"{len(sources)} lessons: committed notebooks and sources agree.")


def _read(notebooks: Path, lesson_ids: list[str] | None) -> "list[Lesson]":
    """The lessons asked for, after all sources have passed the lint."""
    from gemini_workshop.errors import WorkshopError

    try:
        from gemini_workshop.authoring.lint import problems
        from gemini_workshop.authoring.source import find_sources, read_lesson
    except ModuleNotFoundError as error:
        raise WorkshopError(f"Building notebooks needs {error.name}. Run: pip install -e '.[dev]'") from None
    from gemini_workshop.exercises.core import all_exercises

    wanted = find_sources(notebooks, lesson_ids)
    every = [read_lesson(path) for path in find_sources(notebooks)]
    if found := problems(every, all_exercises()):
        raise WorkshopError("\n".join(found))
    return [lesson for lesson in every if lesson.path in wanted]


def _progress(lessons: "list[Lesson]", execute: bool) -> "tqdm":
    from tqdm import tqdm

    cells = [cell for lesson in lessons for cell in lesson.cells if cell.kind == "code" and cell.belongs_to("solution")]
    return tqdm(total=sum("gpu" not in cell.tags for cell in cells), unit="cell", disable=not execute or None)


def _default_folder() -> Path:
    from gemini_workshop.errors import WorkshopError
    from gemini_workshop.paths import notebooks_folder

    folder = notebooks_folder()
    if folder is None:
        raise WorkshopError(
            "The lesson sources are not here: they come with a clone of the repository, not with an installed package. "
            "Clone it, and in its folder run: pip install -e '.[dev]'"
        )
    return folder
