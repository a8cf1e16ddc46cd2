"""gemini-workshop evaluate: how well a trained model predicts a text."""

import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gemini_workshop.data.shards import TokenShards
    from gemini_workshop.data.tokenizer import Tokenizer


class Share(StrEnum):
    """Which documents of a corpus."""

    validation = "validation"
    train = "train"
    all = "all"


def evaluate(
    checkpoint: Annotated[
        str, typer.Argument(help="A checkpoint that ships, or the folder of a run or of one of its checkpoints.")
    ] = "stories-small",
    corpus: Annotated[str, typer.Option(help="The text to predict: a corpus, or a folder of shards.")] = "stories",
    size: Annotated[str, typer.Option(help="How much of the corpus, if it comes in several sizes.")] = "all",
    share: Annotated[
        Share, typer.Option(help="Which documents; the model did not learn from validation.")
    ] = Share.validation,
    stride: Annotated[
        int | None, typer.Option(min=1, help="Tokens between two windows. Default: half of the context.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows computed at a time.")] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the table.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Measure loss, perplexity and bits per byte, beside the floors of this very text.

    Documents are parted by a hash of their text, so the validation share is the one that the training left out.

    Examples:

        gemini-workshop evaluate stories-small --corpus stories

        gemini-workshop evaluate runs/tiny-stories --stride 16 --json
    """
    from tempfile import TemporaryDirectory

    from gemini_workshop.data.shards import INDEX_FILE, TokenShards
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.scores import evaluate_on_shards, name_of, table
    from gemini_workshop.training.checkpointing import find_checkpoint, load_pretrained

    config = find_checkpoint(checkpoint).config
    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    with TemporaryDirectory() as folder:
        if (Path(corpus) / INDEX_FILE).exists():
            shards, text = TokenShards(corpus, tokenizer), corpus
        else:
            documents = documents_of(corpus, size, share, config.training.validation_fraction)
            shards, text = write(documents, tokenizer, Path(folder)), f"{corpus} ({share} share)"
        result = evaluate_on_shards(
            model,
            shards,
            config.training,
            checkpoint=name_of(checkpoint),
            text=text,
            stride_tokens=stride,
            batch_size=batch_size,
        )
        del shards  # Windows removes no file that is mapped
    typer.echo(json.dumps(result.to_dict(), indent=1) if as_json else table(result))


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


def write(documents: Iterable[str], tokenizer: "Tokenizer", folder: Path) -> "TokenShards":
    """The documents as shards of their own."""
    from gemini_workshop.data.sharding import write_shards

    return write_shards(documents, tokenizer, folder)
