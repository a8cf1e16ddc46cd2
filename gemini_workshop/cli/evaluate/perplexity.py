"""gemini-workshop evaluate perplexity: how well a trained model predicts a text."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.evaluate.common import (
    Checkpoint,
    Device,
    Measurement,
    Size,
    Split,
    SplitName,
    documents_of,
    measurement,
)

if TYPE_CHECKING:
    from gemini_workshop.data.batches.shards import TokenShards
    from gemini_workshop.data.tokenizers import Tokenizer


@measurement()
def perplexity(
    checkpoint: Checkpoint = "stories-small",
    corpus: Annotated[str, typer.Option(help="What to predict: a corpus, a file, or a folder of shards.")] = "stories",
    size: Size = "all",
    split: SplitName = Split.validation,
    stride: Annotated[
        int | None, typer.Option(min=1, help="Tokens between two windows. Default: half of the context.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows computed at a time.")] = 16,
    device: Device = "auto",
) -> Measurement:
    """Measure loss, perplexity and bits per byte.

    They are shown beside the floors of the same text. Documents are split by a hash of their text, so the validation
    split is the one that training left out.

    Examples:

        gemini-workshop evaluate stories-small --corpus stories

        gemini-workshop evaluate runs/tiny-stories --stride 16 --result loss.json --picture loss.png
    """
    from gemini_workshop.checkpoint import find_checkpoint, load_pretrained
    from gemini_workshop.devices import pick_device
    from gemini_workshop.evaluation.results import Result, model_facts
    from gemini_workshop.evaluation.scores import evaluate_on_shards, name_of, table
    from gemini_workshop.visualization.evaluation import score_bars

    config = find_checkpoint(checkpoint).config
    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    fraction = config.training.validation_fraction
    with _opened(corpus, size, split, fraction, tokenizer) as (shards, text):
        facts = {"name": text, "sha256": shards.text_sha256}
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
    return Measurement(
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
    )


@contextmanager
def _opened(
    corpus: str, size: str, split: Split, validation_fraction: float, tokenizer: "Tokenizer"
) -> "Iterator[tuple[TokenShards, str]]":
    """The text as shards, and what to call it; shards that are not there yet are written to a temporary folder."""
    from tempfile import TemporaryDirectory

    from gemini_workshop.data.batches.sharding import write_shards
    from gemini_workshop.data.batches.text import is_folder, open_split

    with TemporaryDirectory() as folder:
        if is_folder(corpus):
            shards = open_split(corpus, split.value, tokenizer)
            yield shards, str(shards)
        else:
            documents = documents_of(corpus, size, split, validation_fraction)
            yield write_shards(documents, tokenizer, folder), f"{corpus} ({split} split)"
