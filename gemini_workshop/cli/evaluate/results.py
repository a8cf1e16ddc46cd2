"""gemini-workshop evaluate results: measurements side by side."""

from pathlib import Path
from typing import Annotated

import typer


def results(
    files: Annotated[list[Path], typer.Argument(help="Files that --result wrote.")],
) -> None:
    """Show measurements side by side, and say which cannot be compared, and why.

    Example: gemini-workshop evaluate results before.json after.json
    """
    from gemini_workshop.evaluation.results import load_result, results_table

    typer.echo(results_table([load_result(path) for path in files]))
