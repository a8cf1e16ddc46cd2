"""``gemini-workshop notebooks``: build the lessons' notebooks from their sources, and check that they agree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.options import Commands

if TYPE_CHECKING:
    from tqdm import tqdm

    from gemini_workshop.authoring.source import Lesson

Lessons = Annotated[list[str] | None, typer.Argument(help="Lesson ids, such as 02; all lessons if left out.")]
Execute = Annotated[bool, typer.Option(help="Run the solutions. Without it, outputs stored earlier are kept.")]
Folder = Annotated[Path | None, typer.Option(help="The notebooks folder; default: the one beside the package.")]


def register(app: typer.Typer) -> None:
    """Add the command group to the application."""
    group = Commands(help="Build the lessons' notebooks from their sources.", no_args_is_help=True)
    group.command()(build)
    group.command()(check)
    group.command()(review)
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
    """Fail if a committed notebook differs from its source.

    Everything is built again, and nothing is written.

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


def review(lessons: Lessons = None, folder: Folder = None) -> None:
    """Accept changed claims, hints and quizzes.

    Shows what changed since it was last accepted: assertions, numbers in the prose, what a starter gives, answers,
    hints, sentences about mistakes and quizzes. Read each of them again before you commit the record.

    Examples:

      gemini-workshop notebooks review 02
    """
    notebooks = folder or _default_folder()
    sources = _read(notebooks, lessons)

    from gemini_workshop.authoring.review import changes, read_record, review_of, write_record

    before, now = read_record(notebooks), {lesson.id: review_of(lesson) for lesson in sources}
    for lesson_id, reviewed in now.items():
        for change in changes(before.get(lesson_id), reviewed):
            print(f"{lesson_id} · {change}")
    write_record(notebooks, now)


def _read(notebooks: Path, lesson_ids: list[str] | None) -> "list[Lesson]":
    """The lessons asked for, after all sources have passed the lint."""
    from gemini_workshop.errors import WorkshopError

    try:
        from gemini_workshop.authoring.lint import problems
        from gemini_workshop.authoring.source import find_sources, read_lesson
    except ModuleNotFoundError as error:
        raise WorkshopError(f"Building notebooks needs {error.name}. Run: pip install -e '.[dev]'") from None
    from gemini_workshop.exercises.core.catalogue import all_exercises

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
    if not (folder / "sources").is_dir():
        raise WorkshopError(
            "The lesson sources are not here: they come with a clone of the repository, not with an installed package. "
            "Clone it, and in its folder run: pip install -e '.[dev]'"
        )
    return folder
