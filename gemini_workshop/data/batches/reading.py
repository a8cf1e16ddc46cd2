"""What to read: corpora by name and files of one's own, as documents, one at a time, however large the text is.

Each document's own text decides its split. So it stays in it when others come or go, and two copies of a document are
never in both splits.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from gemini_workshop.data import corpora
from gemini_workshop.data.documents import is_json_lines, read_documents
from gemini_workshop.data.preprocessing.splitting import hash_fraction
from gemini_workshop.data.tokenizers import END_OF_TEXT, check_documents
from gemini_workshop.errors import DataError

Split = Literal["train", "validation", "all"]
SPLITS: tuple[Split, Split] = ("train", "validation")
PARAGRAPHS_PER_DOCUMENT = 20


def parts_of(text: str) -> list[str]:
    """The corpora and files that are named, joined by +; one that is named twice is read twice."""
    return [text] if Path(text).exists() else text.split("+")


def stream_text(parts: Sequence[str], size: str = "all") -> Iterator[str]:
    """The documents of corpora and files, one after another.

    Args:
        parts: names of corpora, and paths of files: .jsonl with a field text, or plain text; also packed (.gz).
        size: how much of a corpus.

    Raises:
        DataError: there is no such corpus or file, or it cannot be read.
    """
    return itertools.chain.from_iterable(_stream_part(part, size) for part in parts)


def stream_split(parts: Sequence[str], size: str, split: Split, validation_fraction: float) -> Iterator[str]:
    """The documents of one split of a text, or all."""
    documents = stream_text(parts, size)
    return documents if split == "all" else in_split(documents, split, validation_fraction)


def in_split(documents: Iterable[str], split: Split, validation_fraction: float) -> Iterator[str]:
    """The documents that belong to a split."""
    is_validation = split == "validation"
    return (
        each for each in check_documents(documents) if is_for_validation(each, validation_fraction) is is_validation
    )


def is_for_validation(document: str, validation_fraction: float) -> bool:
    """Which split a document is in; its text alone decides.

    Raises:
        DataError: the fraction is out of range.
    """
    if not 0 < validation_fraction < 1:
        raise DataError(f"validation_fraction={validation_fraction} is outside (0, 1). Choose for example 0.05.")
    return hash_fraction(document) < validation_fraction


def split_documents(documents: Iterable[str], validation_fraction: float) -> tuple[list[str], list[str]]:
    """The documents of both splits, in memory; the size of the smaller one is only near the fraction asked for.

    Raises:
        DataError: the fraction is out of range, or one split would be empty.
    """
    splits: tuple[list[str], list[str]] = ([], [])
    for document in check_documents(documents):
        splits[is_for_validation(document, validation_fraction)].append(document)
    check_split(itertools.chain(*splits), validation_fraction)
    return splits


def check_split(documents: Iterable[str], validation_fraction: float) -> None:
    """Read until both splits have a document.

    Raises:
        DataError: one of them would be empty.
    """
    counts = [0, 0]
    for document in check_documents(documents):
        counts[is_for_validation(document, validation_fraction)] += 1
        if all(counts):
            return
    raise DataError(
        f"{counts[0]} documents for training and {counts[1]} for validation came out of "
        f"validation_fraction={validation_fraction}. Both need at least one. Use more documents (in plain text, "
        f"{END_OF_TEXT} or empty lines separate them), or a fraction nearer to one half."
    )


def _stream_part(part: str, size: str) -> Iterator[str]:
    path = Path(part)
    if part in corpora.corpus_names():
        return corpora.stream_documents(part, size)
    if path.is_file():
        return _stream_file(path)
    if path.is_dir():
        raise DataError(f"{part} is a folder, and its text cannot be read as documents. Name the files in it.")
    if path.suffix or len(path.parts) > 1:
        raise DataError(f"There is no file {part}. Check the path, or name a corpus: `gemini-workshop data list`.")
    return corpora.stream_documents(part, size)


def _stream_file(path: Path) -> Iterator[str]:
    """The documents of a file; of plain text without marks between documents, passages of twenty paragraphs."""
    if is_json_lines(path) or any(END_OF_TEXT in paragraph for paragraph in read_documents(path, "\n\n")):
        yield from read_documents(path)
        return
    paragraphs = read_documents(path, "\n\n")
    while passage := list(itertools.islice(paragraphs, PARAGRAPHS_PER_DOCUMENT)):
        yield "\n\n".join(passage)
