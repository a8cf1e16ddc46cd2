"""gemini-workshop evaluate results: measurements side by side."""

from pathlib import Path
from typing import Annotated

import typer


def results(
    files: Annotated[list[Path], typer.Argument(help="Files written by --result.")],
) -> None:
    """Show saved measurements side by side.

    A last line names those that cannot be compared with the first, and why.

    Example: gemini-workshop evaluate results before.json after.json
    """
    from gemini_workshop.evaluation.results import load_result, results_table

    typer.echo(results_table([load_result(path) for path in files]))
