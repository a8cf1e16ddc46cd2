"""From a text, whatever it is, to tokens that training maps into memory.

    documents  ->  split by a hash of each  ->  tokenizer learned from the training split  ->  shards of both splits

FOLDER/train and FOLDER/validation are folders of shards, see :mod:`~gemini_workshop.data.batches.shards`. Documents are
read one at a time, and shards are mapped, so that a text may be larger than memory.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gemini_workshop.config import WorkshopConfig
from gemini_workshop.data import corpora
from gemini_workshop.data.batches.reading import SPLITS, Split, check_split, parts_of, stream_split, stream_text
from gemini_workshop.data.batches.rows import LAYOUTS
from gemini_workshop.data.batches.sharding import SHARD_BYTES, write_shards
from gemini_workshop.data.batches.shards import INDEX_FILE, TokenShards
from gemini_workshop.data.batches.source import TokenSource
from gemini_workshop.data.tokenizers import BPETokenizer, Tokenizer
from gemini_workshop.errors import DataError

SAMPLE_BYTES = 2**28


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """Both splits of a text as shards, and the tokenizer that their ids come from."""

    folder: Path
    tokenizer: Tokenizer
    train: TokenShards
    validation: TokenShards

    @classmethod
    def open(cls, folder: str | Path, tokenizer: Tokenizer | None = None) -> "Text":
        """The text whose shards were written to a folder.

        Raises:
            DataError: the shards of a split are not complete, or the two splits come from different tokenizers, or not
                from the one given.
        """
        if (Path(folder) / INDEX_FILE).exists():
            raise DataError(
                f"{folder} holds one set of shards, but training needs two, {folder}/train and {folder}/validation. "
                "Write them with `gemini-workshop data tokenize`, without --validation-fraction 0."
            )
        train = TokenShards(Path(folder, "train"), tokenizer)
        tokenizer = train.load_tokenizer()
        validation = TokenShards(Path(folder, "validation"), tokenizer)
        return cls(folder=Path(folder), tokenizer=tokenizer, train=train, validation=validation)

    def source(self, config: WorkshopConfig) -> TokenSource:
        """Its batches, as a configuration asks for them.

        Raises:
            DataError: the tokenizer's vocabulary is not the model's, or a split is too short for one row.
        """
        training = config.training
        if self.tokenizer.vocab_size != config.model.vocab_size:
            raise DataError(
                f"The tokenizer of {self.folder} has vocab_size={self.tokenizer.vocab_size}, but the model has "
                f"vocab_size={config.model.vocab_size}. Add --set vocab_size={self.tokenizer.vocab_size}, or use "
                "another tokenizer."
            )
        source = TokenSource(
            train=self.train,
            validation_text=self.validation,
            layout=partial(LAYOUTS[training.rows], context_tokens=config.row_tokens),
            batch_size=training.batch_size,
            seed=training.seed,
        )
        _ = source.train_rows, source.validation_rows  # what is wrong with them shows now
        return source


def open_text(corpus: str, size: str, folder: Path, config: WorkshopConfig, tokenizer: Tokenizer | None = None) -> Text:
    """A text to train on. Its shards are written to ``folder``, unless the text is a folder of shards itself.

    Of several processes, one calls this; the others open the folder of what it returns.

    Args:
        corpus: the name of a corpus, the path of a file, or several of them joined by +; or a folder that
            `data tokenize` wrote.
        size: how much of a corpus.
        folder: for the shards. Shards of another text that are there are replaced.
        tokenizer: to encode it; one is learned from the training split, if left out.

    Raises:
        DataError: the text cannot be read, one of its splits would be empty, or its shards are another tokenizer's.
    """
    if is_folder(corpus):
        return Text.open(corpus, tokenizer)
    fraction, parts = config.training.validation_fraction, parts_of(corpus)
    check_split(stream_text(parts, size), fraction)
    if tokenizer is None:
        tokenizer = learn_tokenizer(parts, size, config.model.vocab_size, fraction)
    return write_text(parts, size, tokenizer, folder, fraction, replace=True)


def is_folder(corpus: str) -> bool:
    """Whether a text is a folder, of shards it is hoped, and not the name of a corpus."""
    return corpus not in corpora.corpus_names() and Path(corpus).is_dir()


def open_split(folder: str | Path, split: Split, tokenizer: Tokenizer) -> TokenShards:
    """One split of a folder of shards; all of it, if it has no splits.

    Raises:
        DataError: the shards are not complete, or another tokenizer's, or both splits are asked for at once.
    """
    if (Path(folder) / INDEX_FILE).exists():
        return TokenShards(folder, tokenizer)
    if split == "all":
        raise DataError(f"{folder} holds its splits in two sets of shards. Choose train or validation.")
    return TokenShards(Path(folder, split), tokenizer)


def learn_tokenizer(
    parts: Sequence[str], size: str, vocab_size: int, validation_fraction: float, sample_bytes: int = SAMPLE_BYTES
) -> BPETokenizer:
    """Learn a byte-level BPE from the training split, or, if that is large, from the beginning of each of its parts.

    Args:
        validation_fraction: 0 if there is no split.
        sample_bytes: the most text to learn from, about.
    """
    split: Split = "train" if validation_fraction else "all"
    samples = (
        _first_bytes(stream_split([part], size, split, validation_fraction), sample_bytes // len(parts))
        for part in parts
    )
    return BPETokenizer.train(itertools.chain.from_iterable(samples), vocab_size, progress=True)


def write_text(
    parts: Sequence[str],
    size: str,
    tokenizer: Tokenizer,
    folder: Path,
    validation_fraction: float,
    *,
    shard_bytes: int = SHARD_BYTES,
    num_processes: int = 1,
    replace: bool = False,
) -> Text:
    """Write the shards of both splits of a text.

    Raises:
        DataError: as :func:`~gemini_workshop.data.batches.sharding.write_shards`; also if one split is empty.
    """
    for split in SPLITS:
        write_shards(
            stream_split(parts, size, split, validation_fraction),
            tokenizer,
            folder / split,
            shard_bytes=shard_bytes,
            num_processes=num_processes,
            progress=True,
            replace=replace,
        )
    return Text.open(folder)


def _first_bytes(documents: Iterator[str], num_bytes: int) -> Iterator[str]:
    for document in documents:
        if num_bytes <= 0:
            return
        num_bytes -= len(document.encode("utf-8", errors="surrogatepass"))
        yield document
