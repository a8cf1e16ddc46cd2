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
    room: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Join the instructor's room; only if you want to.")
    ] = None,
    code: Annotated[str | None, typer.Option(help="The code of the room. You are asked if you leave it out.")] = None,
    name: Annotated[str | None, typer.Option(help="What the room calls you. You are asked, too.")] = None,
) -> None:
    """Open a lesson in JupyterLab. Ctrl-C stops it.

    You work on copies of your own in a folder outside the clone: lessons that it lacks are copied there first, and
    those that are there already stay as they are.

    Examples:

      gemini-workshop lab

      gemini-workshop lab 02 --folder my-lessons

      gemini-workshop lab --no-browser --port 9000

      gemini-workshop lab 02 --room 192.168.1.20:8765 --code k7m-p4x --name Ada
    """
    if room is None and not code is name is None:
        raise typer.BadParameter("--code and --name are for a room. Add --room ADDRESS.")
    if room is not None:
        _join(room, code, name)
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


def _join(address: str, code: str | None, name: str | None) -> None:
    """Let the notebooks that follow tell the instructor's room what their checks say.

    Raises:
        WorkshopError: the room does not take the learner in.
    """
    from gemini_workshop.exercises.core.room import VARIABLE, as_variable, host_and_port, send, take_seat, why

    address = host_and_port(address)
    code = typer.prompt("The code of the room", err=True) if code is None else code
    name = typer.prompt("What the room calls you", default="guest", err=True) if name is None else name
    seat = take_seat(address, code, name)
    try:
        shown = send(seat)["name"]
    except OSError as error:
        typer.echo(
            f"The room at {seat.address} does not answer: {why(error)}. Your lessons open without it, and it is told "
            "when it does. Is the address right, and are you in the same network?",
            err=True,
        )
    else:
        typer.echo(
            f"You are in the room as {shown}. It sees which exercises you check, the outcomes and the names of "
            "mistakes, never your code. To leave it, start the lab without --room.",
            err=True,
        )
    os.environ[VARIABLE] = as_variable(seat)


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
