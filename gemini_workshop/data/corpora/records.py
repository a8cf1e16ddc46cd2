"""Records: examples with named fields, such as an instruction and its answer, or a problem and its tests."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gemini_workshop.data.corpora.places import find_edition
from gemini_workshop.data.corpora.registry import find_corpus

Record = dict[str, Any]


def load_records(name: str, size: str = "all") -> list[Record]:
    """The records of a corpus, fetched if need be, with the fields that its publisher gave them.

    Raises:
        DataError: there is no such corpus or size, it holds no records, it cannot be had here, or a file is damaged.
    """
    corpus = find_corpus(name, "records")
    edition, paths = find_edition(corpus, size)
    reader = RECORD_READERS[corpus.reader]
    records = [record for path in paths for record in reader(_read_text(path))]
    return records[: edition.num_items]


def read_json_lines(text: str) -> list[Record]:
    """One JSON object per line."""
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def read_labelled_lines(text: str) -> list[Record]:
    """A sentence, a tab and its label per line."""
    pairs = [line.rsplit("\t", 1) for line in text.split("\n") if line.strip()]
    return [{"text": sentence, "label": int(label)} for sentence, label in pairs]


RECORD_READERS: dict[str, Callable[[str], list[Record]]] = {
    "json": json.loads,
    "json-lines": read_json_lines,
    "labelled-lines": read_labelled_lines,
}


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
