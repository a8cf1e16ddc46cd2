"""Rows of data sets on the Hugging Face hub: streamed, or kept as one file."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from gemini_workshop.data.corpora.registry import HubRows
from gemini_workshop.data.download import note_sum
from gemini_workshop.errors import DataError
from gemini_workshop.files import opened_atomically


def stream_rows(hub: HubRows) -> Iterator[dict[str, Any]]:
    """The rows one by one, as they arrive.

    Raises:
        DataError: the hub cannot be reached, or has no such data set.
    """
    from datasets import load_dataset  # seconds to import, and only those who stream need it

    try:
        rows = load_dataset(hub.path, hub.subset, split=hub.split, streaming=True)
        yield from itertools.islice(rows, hub.rows)
    except Exception as error:  # the library and those below it raise errors of many kinds
        name = " ".join(part for part in (hub.path, hub.subset, hub.split) if part)
        raise DataError(f"{name} could not be read from the Hugging Face hub: {error}.") from error


def keep_rows(hub: HubRows, path: Path) -> None:
    """Write the rows to ``path``, one JSON object per line; note the sum of what was written. Raises as above."""
    digest = hashlib.sha256()
    with opened_atomically(path) as file:
        for row in tqdm(stream_rows(hub), desc=path.name, total=hub.rows, unit=" rows", disable=None, delay=1):
            line = json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"
            file.write(line)
            digest.update(line)
        note_sum(path, digest.hexdigest())
