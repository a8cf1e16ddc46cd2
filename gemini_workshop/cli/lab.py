"""gemini-workshop lab: JupyterLab on the lessons, offline."""

from pathlib import Path
from typing import Annotated

import typer


def lab(
    lesson: Annotated[str, typer.Argument(help="The lesson to open: 02.")] = "00",
    port: Annotated[int, typer.Option(help="Where to serve; if it is taken, Jupyter takes the next free one.")] = 8888,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
) -> None:
    """Open a lesson in JupyterLab. Ctrl-C stops it.

    Examples:

      gemini-workshop lab

      gemini-workshop lab 02

      gemini-workshop lab --no-browser --port 9000
    """
    from gemini_workshop import paths
    from gemini_workshop.errors import WorkshopError

    folder = paths.notebooks_folder()
    if folder is None:
        raise WorkshopError(
            "The lessons are not here: they come with a clone of the repository, not with an installed package. "
            "Clone it, and in its folder run: pip install -e . && gemini-workshop lab"
        )
    notebook = find_notebook(folder, lesson).relative_to(folder).as_posix()

    from jupyterlab.labapp import LabApp

    LabApp.launch_instance(
        [
            f"--ServerApp.root_dir={folder}",
            f"--LabApp.default_url=/lab/tree/{notebook}",
            f"--ServerApp.port={port}",
            f"--ServerApp.open_browser={browser}",
            "--ServerApp.answer_yes=True",  # one Ctrl-C is enough
            "--ServerApp.allow_root=True",  # in a container everyone is root; it listens on localhost only
            "--log-level=WARN",  # the address still shows
            "--LabApp.news_url=None",
            "--LabApp.extension_manager=readonly",
            "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
        ]
    )


def find_notebook(folder: Path, lesson: str) -> Path:
    """The notebook in which a learner does this lesson: its starter, or the only one there is.

    Raises:
        WorkshopError: there is no such lesson.
    """
    from gemini_workshop.errors import WorkshopError, unknown_name

    lessons: dict[str, Path] = {}
    for path in sorted(folder.rglob("[0-9][0-9]_*.ipynb")):
        if not path.stem.endswith("_solution") and ".ipynb_checkpoints" not in path.parts:
            lessons[path.name[:2]] = path
    if not lessons:
        raise WorkshopError(f"There are no notebooks in {folder}. Build them: gemini-workshop notebooks build")
    if lesson.zfill(2) not in lessons:
        raise WorkshopError(unknown_name("lesson", lesson, sorted(lessons)))
    return lessons[lesson.zfill(2)]
