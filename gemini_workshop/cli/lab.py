"""gemini-workshop lab: open the lessons in JupyterLab, offline."""

import os
from pathlib import Path
from typing import Annotated

import typer

from gemini_workshop.cli.lesson import Folder


def _port(value: int) -> int:
    if not 0 < value < 2**16:
        raise typer.BadParameter(f"{value} is not a port. Choose one from 1 to 65535, such as 8888.")
    return value


def lab(
    lesson: Annotated[str, typer.Argument(help="Number of the lesson to open, such as 02.")] = "00",
    folder: Folder = None,
    port: Annotated[
        int,
        typer.Option(callback=_port, help="Port to serve on; if it is taken, Jupyter uses the next free one."),
    ] = 8888,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
) -> None:
    """Open a lesson in JupyterLab. Ctrl-C stops it.

    You work on copies of your own in a folder outside the clone: lessons that it lacks are copied there first, and
    those that are there already stay as they are.

    Examples:

      gemini-workshop lab

      gemini-workshop lab 02 --folder my-lessons

      gemini-workshop lab --no-browser --port 9000
    """
    from gemini_workshop import paths
    from gemini_workshop.lessons.folder import copies, find_copy, lay_out

    place = (folder or paths.lessons_folder()).expanduser().absolute()
    notebook = find_copy(place, lesson).mine.relative_to(place)
    new = lay_out(place)
    typer.echo(f"Your lessons are in {place}" + (f" (copied now: {', '.join(new)})" if new else ""), err=True)
    for copy in copies(place).values():
        if copy.is_behind:
            typer.echo(
                f"Lesson {copy.lesson} has a newer starter: gemini-workshop lesson update {copy.lesson}", err=True
            )
    _serve(place, notebook, port, browser)


def _serve(folder: Path, notebook: Path, port: int, browser: bool) -> None:
    """Run JupyterLab until Ctrl-C."""
    from jupyterlab.labapp import LabApp

    settings = Path(__file__).parents[1] / "lessons" / "jupyter"  # no question about news at each start
    paths = [str(settings), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(paths)
    LabApp.launch_instance(
        [
            f"--ServerApp.root_dir={folder}",
            f"--LabApp.default_url=/lab/tree/{notebook.as_posix()}",
            f"--ServerApp.port={port}",
            f"--ServerApp.open_browser={browser}",
            "--ServerApp.answer_yes=True",  # one Ctrl-C is enough
            "--ServerApp.allow_root=True",  # as in containers; it listens on localhost only
            "--log-level=WARN",  # still shows the address
            "--LabApp.news_url=None",
            "--LabApp.extension_manager=readonly",
            "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
        ]
    )
