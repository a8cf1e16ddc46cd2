"""The command ``gemini-workshop``, collected from one file per command.

Heavy imports wait until a command runs, so that ``--help`` is fast.
"""

import errno
import io
import os
import sys
import warnings
from typing import Annotated

import typer

from gemini_workshop import __version__
from gemini_workshop.cli import (
    benchmark,
    bundle,
    chat,
    data,
    demo,
    doctor,
    evaluate,
    export,
    finetune,
    generate,
    grade,
    lab,
    lesson,
    notebooks,
    progress,
    rehearse,
    room,
    serve,
    train,
)
from gemini_workshop.cli.options import Commands, GroupedHelp
from gemini_workshop.errors import WorkshopError
from gemini_workshop.reading import SHOWN_OF_PATH, shortened

OPTIONAL = {
    **dict.fromkeys(("httpx", "bs4", "soupsieve", "lxml", "tenacity", "protego"), '"gemini-from-scratch[scraping]"'),
    "charset_normalizer": '"gemini-from-scratch[scraping]"',
    "llguidance": '"gemini-from-scratch[constrained]"',
    "datasets": '"gemini-from-scratch[hub]"',
    "sacrebleu": '"gemini-from-scratch[metrics]"',
    **dict.fromkeys(("fastapi", "starlette", "uvicorn", "pydantic"), '"gemini-from-scratch[serve]"'),
    "uv": '"gemini-from-scratch[bundle]"',
    "gradio": '"gemini-from-scratch[demo]"',
    "prometheus_client": '"gemini-from-scratch[serve]"',
    **dict.fromkeys(("tensorboard", "wandb"), '"gemini-from-scratch[tracking]"'),
    **dict.fromkeys(("openai", "transformers", "tokenizers", "tiktoken", "datasketch"), '"gemini-from-scratch[dev]"'),
}
"""What a command may import and the core installation lacks, and what pip installs it with."""
TOO_LARGE = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "Overflow when unpacking",
    "calculation overflowed",
    "too large",
)
"""What PyTorch's messages say about sizes that no machine has."""

NAME = "gemini-workshop"

app = Commands(
    name=NAME,
    no_args_is_help=True,
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
    context: typer.Context,
    *,
    _version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Build a Gemini-style language model from scratch, offline.

    First steps:

      gemini-workshop doctor          check this machine

      gemini-workshop lab             open lesson 00 in JupyterLab

      gemini-workshop COMMAND --help  explain a command, with examples
    """
    if os.environ.get("NO_COLOR"):
        context.color = False


app.command()(doctor.doctor)
app.command()(lab.lab)
app.add_typer(lesson.app, name="lesson")
app.command()(room.room)
app.command()(bundle.bundle)
app.command()(progress.progress)
app.command()(train.train)
app.add_typer(finetune.app, name="finetune")
app.add_typer(evaluate.app, name="evaluate")
app.command(cls=GroupedHelp)(generate.generate)
app.command(cls=GroupedHelp)(chat.chat)
app.command(cls=GroupedHelp)(serve.serve)
app.command(cls=GroupedHelp)(demo.demo)
app.command()(export.export)
app.add_typer(data.app, name="data")
app.add_typer(rehearse.app, name="rehearse")
app.add_typer(benchmark.app, name="benchmark")
app.command()(grade.grade)
notebooks.register(app)


def main() -> None:
    """Run the command line. An error that the user can fix prints its message and exits with code 2."""
    warnings.formatwarning = lambda message, *_: f"Warning: {message}\n"
    for stream in (sys.stdin, sys.stdout, sys.stderr):  # characters that the console cannot show, bytes that are none
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        try:
            app(prog_name=NAME)
        finally:
            sys.stdout.flush()
    except (WorkshopError, OSError, ImportError, MemoryError, OverflowError, RuntimeError) as error:
        if (message := in_words(error)) is None:
            raise
        print(message, file=sys.stderr)
        _forget_unprinted()
        sys.exit(2)


def _forget_unprinted() -> None:
    """Let go of what cannot be printed, or else Python fails at it once more when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def in_words(error: BaseException) -> str | None:
    """What a user can do about an error; None for a defect of ours, which needs its traceback.

    Example:
        >>> in_words(PermissionError(13, "Permission denied", "notes.json"))
        'notes.json: Permission denied. Check the path, its permissions, and that its disk has room.'
    """
    if isinstance(error, WorkshopError):
        return str(error)
    if isinstance(error, OSError) and error.strerror and error.errno not in (None, errno.ENOMEM):
        place = "What is printed, or a file" if error.filename is None else str(error.filename)
        place = shortened(place, SHOWN_OF_PATH)
        return f"{place}: {error.strerror}. Check the path, its permissions, and that its disk has room."
    if isinstance(error, MemoryError | OverflowError) or any(part in str(error) for part in TOO_LARGE):
        reason = shortened(str(error)) or "no memory is left"
        return f"A size is too large for this machine: {reason}. Choose smaller ones."
    if isinstance(error, ImportError):
        name = (error.name or "").partition(".")[0]
        if name not in OPTIONAL:
            return None
        return f"This needs {name}, which is not installed. Install it: pip install {OPTIONAL[name]}."
    return None


if __name__ == "__main__":
    main()
