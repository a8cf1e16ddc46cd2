"""``gemini-workshop data tokenize``: from documents to shards of token ids."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gemini_workshop.data.batches.shards import TokenShards
    from gemini_workshop.data.tokenizers import Tokenizer

DEFAULT_VOCAB_SIZE = 2048


def tokenize(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Corpora, as `list` shows them, or files: .jsonl with a field text, or plain text with "
            "<|endoftext|> between documents; also packed (.gz)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write shards to.")],
    size: Annotated[str, typer.Option(help="How much of a corpus; `info` shows the sizes.")] = "all",
    tokenizer: Annotated[
        str | None,
        typer.Option(help="A saved tokenizer.json, gpt2, cl100k_base or o200k_base. Default: learn one."),
    ] = None,
    vocab_size: Annotated[
        int | None, typer.Option(help=f"Vocabulary of the tokenizer to learn. Default: {DEFAULT_VOCAB_SIZE}.")
    ] = None,
    validation_fraction: Annotated[
        float, typer.Option(help="Fraction of the documents kept for validation; 0 writes all into one set.")
    ] = 0.05,
    shard_mb: Annotated[int, typer.Option(min=1, help="Largest amount of text in one shard, in megabytes.")] = 32,
    processes: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Processes that tokenize. Default: one per CPU.")
    ] = None,
) -> None:
    """Tokenize a corpus or files into shards for training.

    The shards go to OUT/train and OUT/validation; `train --corpus OUT` and `evaluate --corpus OUT` read them. If the
    command is interrupted, run it again: it completes the folder, with the same result as without the interruption.

    Examples:

        gemini-workshop data tokenize stories --out shards/stories

        gemini-workshop data tokenize tinystories --size small --vocab-size 4096 --out shards/tinystories

        gemini-workshop data tokenize part1.jsonl part2.jsonl --tokenizer gpt2 --out shards/own
    """
    from gemini_workshop.data.batches.reading import SPLITS, check_split, stream_text
    from gemini_workshop.data.batches.sharding import write_shards
    from gemini_workshop.data.batches.shards import TokenShards
    from gemini_workshop.data.batches.text import write_text

    if validation_fraction:
        check_split(stream_text(sources, size), validation_fraction)
    folders = [out / split for split in SPLITS] if validation_fraction else [out]
    chosen = _tokenizer(tokenizer, vocab_size, folders[0], sources, size, validation_fraction)
    options: dict[str, Any] = {"shard_bytes": shard_mb * 2**20, "num_processes": processes or os.cpu_count() or 1}
    if validation_fraction:
        write_text(sources, size, chosen, out, validation_fraction, **options)
    else:
        write_shards(stream_text(sources, size), chosen, out, progress=True, **options)
    for folder in folders:
        _describe(TokenShards(folder, chosen))


def _tokenizer(
    name: str | None, vocab_size: int | None, folder: Path, sources: list[str], size: str, validation_fraction: float
) -> "Tokenizer":
    """The one given, else the one that an earlier run left in the folder, else one learned from the training split."""
    from gemini_workshop.data.batches.shards import TOKENIZER_FILE
    from gemini_workshop.data.batches.text import learn_tokenizer
    from gemini_workshop.data.corpora import load_vocabulary
    from gemini_workshop.data.tokenizers import VOCABULARIES, load_tokenizer
    from gemini_workshop.errors import DataError

    if name is None and (folder / TOKENIZER_FILE).exists():
        name = str(folder / TOKENIZER_FILE)
    if name is None:
        return learn_tokenizer(sources, size, vocab_size or DEFAULT_VOCAB_SIZE, validation_fraction)
    loaded = load_vocabulary(name) if name in VOCABULARIES else load_tokenizer(name)
    if vocab_size not in (None, loaded.vocab_size):
        raise DataError(
            f"{name} has vocab_size={loaded.vocab_size}, not {vocab_size}. Remove --vocab-size to use it, "
            "or learn a new one: leave --tokenizer away and choose another --out."
        )
    return loaded


def _describe(shards: "TokenShards") -> None:
    typer.echo(
        f"{shards.folder}: {shards.num_documents:,} documents, {shards.num_tokens:,} tokens "
        f"({shards.num_bytes / shards.num_tokens:.2f} bytes each), shards: {len(shards.headers)}"
    )
