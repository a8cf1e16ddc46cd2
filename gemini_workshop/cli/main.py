"""The command ``gemini-workshop``, collected from one file per command.

Heavy imports wait until a command runs, so that ``--help`` is fast.
"""

import sys
import warnings
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
    lesson,
    notebooks,
    progress,
    rehearse,
    train,
)
from gemini_workshop.cli.options import GroupedHelp
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
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Build a Gemini-style language model from scratch, offline.

    First steps:

      gemini-workshop doctor          check this machine

      gemini-workshop lab             open lesson 00 in JupyterLab

      gemini-workshop COMMAND --help  explain a command, with examples
    """


app.command()(doctor.doctor)
app.command()(lab.lab)
app.add_typer(lesson.app, name="lesson")
app.command()(progress.progress)
app.command()(train.train)
app.add_typer(evaluate.app, name="evaluate")
app.command(cls=GroupedHelp)(generate.generate)
app.command(cls=GroupedHelp)(chat.chat)
app.command()(export.export)
app.add_typer(data.app, name="data")
app.add_typer(rehearse.app, name="rehearse")
app.add_typer(benchmark.app, name="benchmark")
notebooks.register(app)


def main() -> None:
    """Run the command line. An error that the user can fix prints its message and exits with code 2."""
    warnings.formatwarning = lambda message, *_: f"Warning: {message}\n"
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # characters that the console cannot show
    try:
        app()
    except WorkshopError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
