"""What the commands of ``evaluate`` share: their options, and how a measurement leaves the house."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gemini_workshop.evaluation.results import Result

Checkpoint = Annotated[
    str, typer.Argument(help="A checkpoint that ships, or the folder of a run or of one of its checkpoints.")
]
Size = Annotated[str, typer.Option(help="How much of the corpus, if it comes in several sizes.")]
Seed = Annotated[int, typer.Option(help="Another seed draws others.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")]
ResultPath = Annotated[Path | None, typer.Option("--result", help="Keep the measurement in this JSON file.")]
Picture = Annotated[Path | None, typer.Option(help="Draw it into this file, PNG or SVG.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


class Share(StrEnum):
    """Which documents of a corpus."""

    validation = "validation"
    train = "train"
    all = "all"


Documents = Annotated[Share, typer.Option("--share", help="Which documents; a model does not learn from validation.")]


def documents_of(corpus: str, size: str, share: Share, validation_fraction: float) -> list[str]:
    """The documents of a share of a corpus.

    Raises:
        DataError: there are none.
    """
    from gemini_workshop.data.corpora import load_documents
    from gemini_workshop.data.dataset import is_for_validation
    from gemini_workshop.errors import DataError

    documents = [
        document
        for document in load_documents(corpus, size)
        if share is Share.all or is_for_validation(document, validation_fraction) is (share is Share.validation)
    ]
    if not documents:
        raise DataError(f"The {share} share of {corpus} holds no documents. Choose --share all, or another corpus.")
    return documents


def deliver(
    result: "Result",
    text: str,
    draw: "Callable[[], Figure] | None" = None,
    *,
    as_json: bool = False,
    path: Path | None = None,
    picture: Path | None = None,
) -> None:
    """Print a measurement; keep and draw it where that was asked for."""
    typer.echo(result.to_json() if as_json else text)
    if path:
        result.save(path)
    if picture and draw:
        from gemini_workshop.visualization.theme import use_theme

        use_theme()
        draw().savefig(picture)
