"""The command ``gemini-workshop``: one file a command, gathered here.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

import sys
from typing import Annotated

import typer

from gemini_workshop import __version__
from gemini_workshop.cli import (
    benchmark,
    chat,
    data,
    doctor,
    evaluate,
    export,
    generate,
    lab,
    notebooks,
    progress,
    rehearse,
    train,
)
from gemini_workshop.errors import WorkshopError

app = typer.Typer(
    name="gemini-workshop",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"gemini-workshop {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Build a Gemini-like language model from nothing, lesson by lesson, offline.

    First steps:

      gemini-workshop doctor          is this machine ready?

      gemini-workshop lab             open lesson 00 in JupyterLab

      gemini-workshop COMMAND --help  what a command does, with examples
    """


app.command()(doctor.doctor)
app.command()(lab.lab)
app.command()(progress.progress)
app.command()(train.train)
app.add_typer(evaluate.app, name="evaluate")
app.command()(generate.generate)
app.command()(chat.chat)
app.command()(export.export)
app.add_typer(data.app, name="data")
app.add_typer(rehearse.app, name="rehearse")
app.add_typer(benchmark.app, name="benchmark")
notebooks.register(app)


def main() -> None:
    """Run the command line. An error that the user can mend is one message and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a letter that the console lacks
    try:
        app()
    except WorkshopError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
