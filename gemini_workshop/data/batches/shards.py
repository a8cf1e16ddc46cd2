"""Token ids on disk: a text as files that are mapped into memory, so that its size does not matter.

FOLDER/tokenizer.json      what the ids mean
       shard-00000.tokens  the first documents
       shard-00001.tokens  the next ones, and so on
       index.json          the headers of all shards; written last, so a folder that has it is complete

A shard is a header, one line of JSON filled up with spaces to 512 bytes; then the ids, an end of text after each
document, as uint16 where the vocabulary fits, else as uint32; then zeros up to a multiple of 8 bytes; then, for each
document, the place in the shard where it ends, as int64. All numbers are little-endian.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Integer

from gemini_workshop.data.tokenizers import Tokenizer, load_tokenizer
from gemini_workshop.errors import DataError
from gemini_workshop.files import sha256_of
from gemini_workshop.reading import check_ordinary, read_json

HEADER_BYTES = 512
INDEX_FILE = "index.json"
TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardHeader:
    """What a shard holds: the ids of which text, from which tokenizer.

    Args:
        num_tokens: the ends of text included.
        num_bytes: of the text in UTF-8.
        text_sha256: of the documents, see :func:`~gemini_workshop.data.batches.sharding.text_sha256`.
        tokenizer_sha256: of the file that its ``save`` writes.
        content_sha256: of all that follows the header; empty in shards of earlier versions, which nothing checks.
    """

    version: int = 1
    num_tokens: int
    num_documents: int
    num_bytes: int
    text_sha256: str
    vocab_size: int
    end_of_text_id: int
    tokenizer_sha256: str
    content_sha256: str = ""

    def __post_init__(self) -> None:
        counts = (self.num_tokens, self.num_documents, self.num_bytes, self.end_of_text_id, self.vocab_size)
        sums = (self.text_sha256, self.tokenizer_sha256, self.content_sha256)
        if self.version != 1 or not all(type(count) is int and 0 <= count < 2**48 for count in counts):
            raise ValueError("not counts that a shard can have")
        if not all(isinstance(value, str) for value in sums):
            raise ValueError("not sums")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that an id is stored as."""
        return token_dtype(self.vocab_size)

    @property
    def ends_at(self) -> int:
        """The byte of the file where the ends of the documents begin."""
        return HEADER_BYTES + -(-self.num_tokens * self.dtype.itemsize // 8) * 8

    @property
    def file_bytes(self) -> int:
        """The size of the whole file."""
        return self.ends_at + 8 * self.num_documents


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The smallest of uint16 and uint32 that holds every id, little-endian on every machine.

    Example:
        >>> token_dtype(65_536).str, token_dtype(65_537).str
        ('<u2', '<u4')
    """
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


def shard_path(folder: Path, number: int) -> Path:
    """The path of the shard with this number, counting from 0."""
    return folder / f"shard-{number:05d}.tokens"


def shard_content(
    header: ShardHeader, token_ids: Integer[np.ndarray, " N"], document_ends: Int[np.ndarray, " M"]
) -> bytes:
    """The bytes of the file."""
    tokens = token_ids.astype(header.dtype).tobytes()
    content = tokens.ljust(header.ends_at - HEADER_BYTES, b"\0") + document_ends.astype("<i8").tobytes()
    header = replace(header, content_sha256=hashlib.sha256(content).hexdigest())
    return json.dumps(asdict(header)).encode("ascii").ljust(HEADER_BYTES - 1) + b"\n" + content


def check_content(path: Path, header: ShardHeader) -> None:
    """Compare the ids of a shard with the sum in its header.

    Raises:
        DataError: they were changed since they were written.
    """
    with path.open("rb") as file:
        file.seek(HEADER_BYTES)
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if header.content_sha256 not in ("", found):
        raise DataError(
            f"{path} is damaged: the sha256 of its ids is {found[:8]}..., not {header.content_sha256[:8]}.... "
            "Delete it, and write the shards again."
        )


def read_header(path: Path) -> ShardHeader:
    """The header of a shard whose file is complete.

    Raises:
        DataError: the file is missing, not a shard, or not as long as its header says.
    """
    try:
        check_ordinary(path)
        with path.open("rb") as file:
            header = ShardHeader(**json.loads(file.read(HEADER_BYTES)))
    except OSError as error:
        raise DataError(f"The shard {path} cannot be read: {error.strerror}. Write the shards again.") from None
    except (ValueError, TypeError, RecursionError):
        raise DataError(f"{path} has no header of a shard. Delete it, and write the shards again.") from None
    if (found := path.stat().st_size) != header.file_bytes:
        raise DataError(
            f"{path} has {found} bytes, but its header says {header.file_bytes}. Delete it, and write the shards again."
        )
    return header


def tokenizer_sha256(tokenizer: Tokenizer) -> str:
    """The sum of the file that the tokenizer's ``save`` writes: with equal sums, texts have equal ids."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, TOKENIZER_FILE)
        tokenizer.save(path)
        return sha256_of(path)


class TokenShards:
    """A folder of shards as one stream of ids. Nothing is loaded before it is used.

    Args:
        tokenizer: if given, the one that the ids must come from.

    Raises:
        DataError: the folder is not complete, or the ids are another tokenizer's.
    """

    def __init__(self, folder: str | Path, tokenizer: Tokenizer | None = None) -> None:
        self.folder = Path(folder)
        self.headers = read_index(self.folder)
        self._token_starts = _running_sum(header.num_tokens for header in self.headers)
        self._maps: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        if tokenizer is not None and (mismatch := tokenizer_mismatch(self.folder, tokenizer)):
            raise mismatch

    def __str__(self) -> str:
        return str(self.folder)

    @property
    def sha256(self) -> str:
        """Of the text and the tokenizer, which decide the ids."""
        return _sum_of([self.text_sha256, self.headers[0].tokenizer_sha256])

    @property
    def text_sha256(self) -> str:
        """Of the text alone, whatever its tokens are."""
        return _sum_of([header.text_sha256 for header in self.headers])

    @property
    def num_tokens(self) -> int:
        """Ids in all shards, the ends of text included."""
        return int(self._token_starts[-1])

    @property
    def num_documents(self) -> int:
        """Documents in all shards."""
        return sum(header.num_documents for header in self.headers)

    @property
    def num_bytes(self) -> int:
        """Bytes of the text in UTF-8, as needed for bits per byte."""
        return sum(header.num_bytes for header in self.headers)

    @property
    def vocab_size(self) -> int:
        """Ids run from 0 to ``vocab_size - 1``."""
        return self.headers[0].vocab_size

    @property
    def end_of_text_id(self) -> int:
        """The id that ends each document."""
        return self.headers[0].end_of_text_id

    def load_tokenizer(self) -> Tokenizer:
        """The tokenizer that the ids come from."""
        return load_tokenizer(self.folder / TOKENIZER_FILE)

    def tokens(self, start: int, stop: int) -> Int[np.ndarray, " N"]:
        """The ids from place ``start`` of the stream up to, not including, ``stop``, from whichever shards."""
        if not 0 <= start <= stop <= self.num_tokens:
            raise DataError(f"tokens({start}, {stop}) reaches outside the {self.num_tokens} tokens of {self.folder}.")
        pieces = [np.empty(0, np.int64)]
        number = int(np.searchsorted(self._token_starts, start, side="right")) - 1
        while start < stop:
            first, last = self._token_starts[number : number + 2]
            ids, _ = self._map(number)
            pieces.append(ids[start - first : min(stop, last) - first].astype(np.int64))
            start = int(last)
            number += 1
        return np.concatenate(pieces)

    def document_ends(self) -> Int[np.ndarray, " M"]:
        """The place in the stream after each document's end of text: eight bytes per document, all in memory."""
        numbers = range(len(self.headers))
        return np.concatenate([self._map(number)[1] + self._token_starts[number] for number in numbers])

    def _map(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The ids and the ends of one shard, mapped when first asked for."""
        if number not in self._maps:
            path, header = shard_path(self.folder, number), self.headers[number]
            if read_header(path) != header:
                raise DataError(f"{path} is not the shard that {INDEX_FILE} lists. Write the shards again.")
            check_content(path, header)
            ids = np.memmap(path, header.dtype, "r", HEADER_BYTES, header.num_tokens)
            self._maps[number] = ids, np.memmap(path, "<i8", "r", header.ends_at, header.num_documents)
        return self._maps[number]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_maps": {}}  # another process maps the files itself


def read_index(folder: Path) -> list[ShardHeader]:
    """The headers of a complete folder.

    Raises:
        DataError: the folder has no index, or a damaged one.
    """
    try:
        if not (folder / INDEX_FILE).exists():
            raise FileNotFoundError
        headers = [ShardHeader(**header) for header in read_json(folder / INDEX_FILE)["shards"]]
    except FileNotFoundError:
        raise DataError(
            f"{folder} holds no complete shards: there is no {INDEX_FILE}. "
            "Write or complete them: gemini-workshop data tokenize CORPUS --out FOLDER."
        ) from None
    except (ValueError, TypeError, KeyError, RecursionError):
        headers = []
    if not headers:
        raise DataError(f"{folder / INDEX_FILE} is damaged. Delete it, and write the shards again.")
    return headers


def tokenizer_mismatch(folder: Path, tokenizer: Tokenizer) -> DataError | None:
    """The error to raise if the folder's ids are another tokenizer's."""
    path = folder / TOKENIZER_FILE
    expected, found = sha256_of(path), tokenizer_sha256(tokenizer)
    if expected == found:
        return None
    return DataError(
        f"{folder} holds ids of a tokenizer with vocab_size={load_tokenizer(path).vocab_size} "
        f"(sha256 {expected[:8]}...), not of this one with vocab_size={tokenizer.vocab_size} "
        f"(sha256 {found[:8]}...). Use the one in {path}, or tokenize the text again into another folder."
    )


def _running_sum(counts: Iterable[int]) -> Int[np.ndarray, " M"]:
    return np.cumsum([0, *counts], dtype=np.int64)


def _sum_of(sums: Sequence[str]) -> str:
    return hashlib.sha256("".join(sums).encode("ascii")).hexdigest()
