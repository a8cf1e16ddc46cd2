"""gemini-workshop evaluate perplexity: how well a trained model predicts a text."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.evaluate.common import (
    AsJson,
    Checkpoint,
    Device,
    Documents,
    Picture,
    ResultPath,
    Share,
    Size,
    deliver,
    documents_of,
)

if TYPE_CHECKING:
    from gemini_workshop.data.shards import TokenShards
    from gemini_workshop.data.tokenizer import Tokenizer


def perplexity(
    checkpoint: Checkpoint = "stories-small",
    corpus: Annotated[str, typer.Option(help="The text to predict: a corpus, or a folder of shards.")] = "stories",
    size: Size = "all",
    share: Documents = Share.validation,
    stride: Annotated[
        int | None, typer.Option(min=1, help="Tokens between two windows. Default: half of the context.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows computed at a time.")] = 16,
    as_json: AsJson = False,
    result: ResultPath = None,
    picture: Picture = None,
    device: Device = "auto",
) -> None:
    """Measure loss, perplexity and bits per byte, beside the floors of this very text.

    Documents are parted by a hash of their text, so the validation share is the one that the training left out.

    Examples:

        gemini-workshop evaluate stories-small --corpus stories

        gemini-workshop evaluate runs/tiny-stories --stride 16 --result loss.json --picture loss.png
    """
    from tempfile import TemporaryDirectory

    from gemini_workshop.data.shards import INDEX_FILE, TokenShards
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.results import Result, model_facts, text_facts
    from gemini_workshop.evaluation.scores import evaluate_on_shards, name_of, table
    from gemini_workshop.training.checkpointing import find_checkpoint, load_pretrained
    from gemini_workshop.visualization.evaluation import score_bars

    config = find_checkpoint(checkpoint).config
    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    with TemporaryDirectory() as folder:
        if (Path(corpus) / INDEX_FILE).exists():
            shards, text = TokenShards(corpus, tokenizer), corpus
            facts = text_facts(text, [header.text_sha256 for header in shards.headers])
        else:
            documents = documents_of(corpus, size, share, config.training.validation_fraction)
            shards, text = write(documents, tokenizer, Path(folder)), f"{corpus} ({share} share)"
            facts = text_facts(text, documents)
        measured = evaluate_on_shards(
            model,
            shards,
            config.training,
            checkpoint=name_of(checkpoint),
            text=text,
            stride_tokens=stride,
            batch_size=batch_size,
        )
        del shards  # Windows removes no file that is mapped
    strided = measured.scores[-1]
    deliver(
        Result(
            kind="perplexity",
            model=model_facts(measured.checkpoint, model),
            data=facts,
            settings={"context_tokens": measured.context_tokens, "stride_tokens": measured.stride_tokens},
            scores={
                "nats per token": strided.nats_per_token,
                "perplexity": strided.perplexity,
                "bits per byte": strided.bits_per_byte,
            },
            details=measured.to_dict(),
        ),
        table(measured),
        lambda: score_bars(measured),
        as_json=as_json,
        path=result,
        picture=picture,
    )


def write(documents: Iterable[str], tokenizer: "Tokenizer", folder: Path) -> "TokenShards":
    """The documents as shards of their own."""
    from gemini_workshop.data.sharding import write_shards

    return write_shards(documents, tokenizer, folder)
