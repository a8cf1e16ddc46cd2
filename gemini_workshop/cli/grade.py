"""gemini-workshop grade: judge the notebooks that a room has handed in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemini_workshop.cli.options import AsJson, print_json
from gemini_workshop.grading.report.formats import Format

if TYPE_CHECKING:
    from gemini_workshop.grading.gradebook import Gradebook


Folder = Annotated[Path, typer.Argument(help="Folder of notebooks, or of one folder for each learner.")]
Lessons = Annotated[list[str] | None, typer.Option(help="Grade this lesson only, such as 02; may be repeated.")]
Formats = Annotated[
    list[Format] | None, typer.Option(help="Write a CSV for nbgrader, canvas or moodle, too; may be repeated.")
]
Seed = Annotated[
    int | None, typer.Option(min=0, max=2**31 - 1, help="Seed of the fresh cases, to grade again in the same way.")
]


def grade(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="Folder for tables, heat map and pages.")] = Path("grades"),
    lesson: Lessons = None,
    format: Formats = None,
    newest: Annotated[bool, typer.Option("--newest", help="Of two notebooks of one learner, grade the newer.")] = False,
    seconds: Annotated[float, typer.Option(min=1, help="Time limit of one answer's check.")] = 10.0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Notebooks graded at a time.")] = 2,
    seed: Seed = None,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Grade even where answers cannot be isolated (containers, macOS).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Grade the notebooks that a room has handed in.

    Each answer runs in a jail of its own: no network, no files, limits of time and memory. It is judged by cases that
    no notebook shows, so that checks and outputs of a notebook count for nothing. The folder OUT gets index.html (what
    the room gets wrong, for you), feedback (a page for each learner), grades.csv and heat_map.png.

    Learners are named by their folders or files, as Moodle and Canvas name them, too. See docs/grading.md.

    Examples:

      gemini-workshop grade submissions

      gemini-workshop grade submissions --lesson 02 --out grades_02 --format moodle

      gemini-workshop grade submissions --newest --json
    """
    import secrets

    from tqdm import tqdm

    from gemini_workshop.files import check_target
    from gemini_workshop.grading.gradebook import grade_all
    from gemini_workshop.grading.grader import Grader
    from gemini_workshop.grading.report.writing import write_report
    from gemini_workshop.grading.submissions import find_submissions

    lessons = [_known(each) for each in lesson or []]
    check_target(out / "grades.csv")
    found = find_submissions(folder, newest)
    drawn = secrets.randbelow(2**31) if seed is None else seed
    with tqdm(total=len(found.submissions), unit="notebook", disable=None) as bar:
        book = grade_all(
            found,
            lambda: Grader(seconds=seconds, seed=drawn, may_be_unsafe=unsafe),
            lessons=lessons,
            workers=min(workers, len(found.submissions)),
            tell=lambda _: bar.update(),
        )
    written = write_report(book, out, format or [])
    if as_json:
        print_json(_as_json(book))
        return
    typer.echo(_summary(book, written[0]))


def _known(lesson: str) -> str:
    from gemini_workshop.errors import WorkshopError, unknown_name
    from gemini_workshop.exercises.core.catalogue import lessons

    known = lessons()
    if lesson.zfill(2) not in known:
        raise WorkshopError(unknown_name("lesson", lesson, known))
    return lesson.zfill(2)


def _summary(book: "Gradebook", index: Path) -> str:
    from gemini_workshop.tables import table

    rows = [["", "points", "to look at"]]
    rows += [[row.learner, str(row.points), str(len(row.signs) + len(row.notes) or "")] for row in book.rows]
    lines = [table(rows, f"{len(book.exercises)} exercises"), ""]
    for exercise, name, who in book.mistakes()[:5]:
        lines.append(f"{len(who):>3}  {exercise.id} {exercise.title}: {name}")
    lines += [f"Ignored: {each}" for each in book.ignored]
    if not book.is_isolated:
        lines.append("The answers were not isolated here: they could reach this machine's files and the network.")
    return "\n".join([*lines, f"Everything is in {index.parent}; begin with {index}."])


def _as_json(book: "Gradebook") -> dict[str, Any]:
    rows = [
        {
            "learner": row.learner,
            "number": row.number,
            "points": row.points,
            "grades": {
                key: {"outcome": str(each.outcome), "mistake": each.mistake, "lines": list(each.lines)}
                for key, each in row.grades.items()
            },
            "signs": list(map(str, row.signs)),
            "notes": row.notes,
        }
        for row in book.rows
    ]
    return {
        "exercises": [each.id for each in book.exercises],
        "seed": book.seed,
        "is_isolated": book.is_isolated,
        "learners": rows,
        "ignored": book.ignored,
    }
