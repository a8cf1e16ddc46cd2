"""gemini-workshop room: see live who is where."""

from pathlib import Path
from typing import Annotated

import typer


def room(
    host: Annotated[str, typer.Option(help="Address to listen on; 127.0.0.1 lets nobody else in.")] = "0.0.0.0",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any. Default: 8765.")
    ] = None,
    code: Annotated[
        str | None, typer.Option(help="What learners type to join. Default: a new one that cannot be guessed.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Keep the day in this file; if it is there already, continue it.")
    ] = None,
) -> None:
    """Show live which exercise each learner is at.

    For the instructor, on a laptop in the same network. Learners join with `gemini-workshop lab --room ADDRESS`; their
    notebooks then send exercise numbers, outcomes and names of mistakes, never code. Needs the extra serve. Nothing is
    stored without --save.

    Examples:

      gemini-workshop room

      gemini-workshop room --code our-room --save tuesday.json
    """
    from gemini_workshop.exercises.core.room import DEFAULT_PORT
    from gemini_workshop.room.server import run_room

    run_room(host, DEFAULT_PORT if port is None else port, code, save, typer.echo)
