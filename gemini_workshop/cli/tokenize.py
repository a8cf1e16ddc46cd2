"""``gemini-workshop data tokenize``: from documents to shards of token ids."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gemini_workshop.data.shards import TokenShards
    from gemini_workshop.data.tokenizer import Tokenizer

DEFAULT_VOCAB_SIZE = 2048


def tokenize(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="A corpus, as `list` shows it, or files: .jsonl with a field text, or text with <|endoftext|> "
            "between documents; also packed (.gz)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the shards.")],
    size: Annotated[str, typer.Option(help="How much of a corpus; `info` shows which sizes there are.")] = "all",
    tokenizer: Annotated[
        str | None,
        typer.Option(help="A saved tokenizer.json, gpt2, cl100k_base or o200k_base. Default: one is learned."),
    ] = None,
    vocab_size: Annotated[
        int | None, typer.Option(help=f"Of the tokenizer to learn; {DEFAULT_VOCAB_SIZE} if not given.")
    ] = None,
    validation_fraction: Annotated[
        float, typer.Option(help="Share of the documents kept for validation; 0 writes all into one set.")
    ] = 0.05,
    shard_mb: Annotated[int, typer.Option(min=1, help="The most text in one shard, in megabytes.")] = 32,
    processes: Annotated[int | None, typer.Option(min=1, help="Default: one for each CPU.")] = None,
) -> None:
    """Tokenise a corpus, or files, into shards that training maps into memory.

    What is written depends neither on the number of processes nor on interruptions: the same command again finishes
    what Ctrl-C or a crash broke off. The split goes into OUT/train and OUT/validation.

    Examples:

        gemini-workshop data tokenize stories --out shards/stories

        gemini-workshop data tokenize tinystories --size small --vocab-size 4096 --out shards/tinystories

        gemini-workshop data tokenize part1.jsonl part2.jsonl --tokenizer gpt2 --out shards/own
    """
    from gemini_workshop.data.datamodule import SIDES, write_split
    from gemini_workshop.data.sharding import write_shards
    from gemini_workshop.data.shards import TokenShards

    folders = [out / side for side in SIDES] if validation_fraction else [out]
    chosen = _tokenizer(tokenizer, vocab_size, folders[0], sources, size, validation_fraction)
    options: dict[str, Any] = {
        "shard_bytes": shard_mb * 2**20,
        "num_processes": processes or os.cpu_count() or 1,
        "progress": True,
    }
    if validation_fraction:
        write_split(lambda: _documents(sources, size), chosen, out, validation_fraction, **options)
    else:
        write_shards(_documents(sources, size), chosen, out, **options)
    for folder in folders:
        _describe(TokenShards(folder, chosen))


def _documents(sources: list[str], size: str) -> Iterator[str]:
    from gemini_workshop.data.corpora import stream_documents
    from gemini_workshop.data.preprocessing.documents import read_documents

    return itertools.chain.from_iterable(
        read_documents(source) if Path(source).is_file() else stream_documents(source, size) for source in sources
    )


def _tokenizer(
    name: str | None, vocab_size: int | None, folder: Path, sources: list[str], size: str, validation_fraction: float
) -> "Tokenizer":
    """The one given, else the one that an earlier run left in the folder, else one learned from the training share."""
    from gemini_workshop.data.dataset import is_for_validation
    from gemini_workshop.data.shards import TOKENIZER_FILE
    from gemini_workshop.data.tokenizer import BPETokenizer, load_tokenizer, load_vocabulary
    from gemini_workshop.data.tokenizers.pretrained import VOCABULARIES
    from gemini_workshop.errors import DataError

    if name is None and (folder / TOKENIZER_FILE).exists():
        name = str(folder / TOKENIZER_FILE)
    if name is None:
        documents = (
            document
            for document in _documents(sources, size)
            if not (validation_fraction and is_for_validation(document, validation_fraction))
        )
        return BPETokenizer.train(documents, vocab_size or DEFAULT_VOCAB_SIZE, progress=True)
    loaded = load_vocabulary(name) if name in VOCABULARIES else load_tokenizer(name)
    if vocab_size not in (None, loaded.vocab_size):
        raise DataError(
            f"{name} has vocab_size={loaded.vocab_size}, not {vocab_size}. Leave --vocab-size away to use it, "
            "or learn another with another --out and without --tokenizer."
        )
    return loaded


def _describe(shards: "TokenShards") -> None:
    typer.echo(
        f"{shards.folder}: {shards.num_documents:,} documents, {shards.num_tokens:,} tokens "
        f"({shards.num_bytes / shards.num_tokens:.2f} bytes each), shards: {len(shards.headers)}"
    )
