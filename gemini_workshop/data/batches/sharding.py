"""Write documents as shards: with several processes, and so that a writer killed at any moment can be started again.

Which documents make up a shard depends on their sizes alone, and a shard's bytes on its documents and the tokenizer
alone. So neither the number of processes nor an interruption changes what is written, and a second run keeps each
shard that the first one finished. Documents are read as they are needed: those of a few shards are in memory at a time.
"""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from itertools import zip_longest
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gemini_workshop.data.batches.shards import (
    INDEX_FILE,
    TOKENIZER_FILE,
    ShardHeader,
    TokenShards,
    check_content,
    read_header,
    shard_content,
    shard_path,
    token_dtype,
    tokenizer_mismatch,
)
from gemini_workshop.data.tokenizers import Tokenizer, check_documents
from gemini_workshop.errors import DataError
from gemini_workshop.files import sha256_of, write_atomically

SHARD_BYTES = 32 * 2**20


def write_shards(
    documents: Iterable[str],
    tokenizer: Tokenizer,
    folder: str | Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    num_processes: int = 1,
    progress: bool = False,
    replace: bool = False,
) -> TokenShards:
    """Tokenize documents into a folder of shards; complete what an interrupted run began.

    If the folder is complete, the documents are only compared with it. One run at a time may write to a folder.

    Args:
        shard_bytes: the most text in one shard, in bytes of UTF-8. A shard is in memory while it is made.
        num_processes: 1 does the work in this process. A script that asks for more must guard its entry with
            ``if __name__ == "__main__":``, as always with processes.
        progress: show a bar on stderr when it takes more than two seconds.
        replace: write over shards of other documents, or of another tokenizer, that are there.

    Raises:
        DataError: there are no documents, one is longer than a shard, the folder holds other documents or another
            tokenizer's ids, or the tokenizer yields an id outside its vocabulary.
    """
    folder = Path(folder)
    if num_processes < 1:
        raise DataError(f"num_processes={num_processes} is not positive. Choose num_processes >= 1.")
    if replace:
        for name in (INDEX_FILE, TOKENIZER_FILE):
            (folder / name).unlink(missing_ok=True)
    tokenizer_sum = _claim(folder, tokenizer)
    groups = group_documents(check_documents(documents), shard_bytes)
    if (folder / INDEX_FILE).exists():
        return _compared(TokenShards(folder), groups)
    jobs = (_Job(shard_path(folder, i), group, tokenizer_sum) for i, group in enumerate(groups))
    headers = []
    with tqdm(desc="tokenize", unit=" documents", delay=2, disable=not progress) as bar:
        for header in _run(jobs, tokenizer, num_processes):
            headers.append(header)
            bar.update(header.num_documents)
    if not headers:
        raise DataError(f"There are no documents to write to {folder}. Give at least one; both splits need some.")
    _remove_leftovers(folder, len(headers))
    index = {"shards": [asdict(header) for header in headers]}
    write_atomically(folder / INDEX_FILE, json.dumps(index, indent=1).encode("ascii"))
    return TokenShards(folder)


def group_documents(documents: Iterable[str], shard_bytes: int) -> Iterator[list[str]]:
    """The documents of each shard: as many as fit, in their order.

    Raises:
        DataError: a document does not fit into a shard of its own.

    Example:
        >>> list(group_documents(["once", "upon", "a", "time"], shard_bytes=8))
        [['once', 'upon'], ['a', 'time']]
    """
    group: list[str] = []
    room = shard_bytes
    for place, document in enumerate(documents):
        num_bytes = len(_to_bytes(document))
        if num_bytes > shard_bytes:
            raise DataError(
                f"Document {place}, {document[:20]!r}, has {num_bytes} bytes, more than shard_bytes={shard_bytes}. "
                f"Cut it into several, or choose shard_bytes >= {num_bytes}."
            )
        if num_bytes > room:
            yield group
            group, room = [], shard_bytes
        group.append(document)
        room -= num_bytes
    if group:
        yield group


def text_sha256(documents: Iterable[str]) -> str:
    """One sum of the documents and of where each ends."""
    digest = hashlib.sha256()
    for document in documents:
        content = _to_bytes(document)
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def _claim(folder: Path, tokenizer: Tokenizer) -> str:
    """Leave the tokenizer in the folder, or check that the one there is the same; return its file's sum."""
    path = folder / TOKENIZER_FILE
    if path.exists():
        if mismatch := tokenizer_mismatch(folder, tokenizer):
            raise mismatch
    else:
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save(path)
    return sha256_of(path)


def _compared(shards: TokenShards, groups: Iterator[list[str]]) -> TokenShards:
    """The shards, if they are of these documents."""
    for number, (group, header) in enumerate(zip_longest(groups, shards.headers)):
        if group is None or header is None or text_sha256(group) != header.text_sha256:
            raise DataError(
                f"{shards.folder} already holds {shards.num_documents} other documents, or the same ones with another "
                f"shard_bytes: shard {number} differs. Choose another folder, or delete this one."
            )
    return shards


@dataclass(frozen=True, slots=True)
class _Job:
    """One shard to write."""

    path: Path
    documents: list[str]
    tokenizer_sum: str

    def run(self, tokenizer: Tokenizer) -> ShardHeader:
        """Write the shard, unless it is there already."""
        text_sum = text_sha256(self.documents)
        if self.path.exists():
            header = read_header(self.path)
            if (header.text_sha256, header.tokenizer_sha256) == (text_sum, self.tokenizer_sum):
                check_content(self.path, header)
                return header
        ids = [_encode(document, tokenizer) for document in self.documents]
        ends = np.cumsum([len(some) for some in ids], dtype=np.int64)
        header = ShardHeader(
            num_tokens=int(ends[-1]),
            num_documents=len(self.documents),
            num_bytes=sum(len(_to_bytes(document)) for document in self.documents),
            text_sha256=text_sum,
            vocab_size=tokenizer.vocab_size,
            end_of_text_id=tokenizer.end_of_text_id,
            tokenizer_sha256=self.tokenizer_sum,
        )
        write_atomically(self.path, shard_content(header, np.concatenate(ids), ends))
        return read_header(self.path)  # with the sum of its content


def _encode(document: str, tokenizer: Tokenizer) -> np.ndarray:
    ids = np.array([*tokenizer.encode(document), tokenizer.end_of_text_id], np.int64)
    if ids.min() < 0 or ids.max() >= tokenizer.vocab_size:
        raise DataError(
            f"The tokenizer with vocab_size={tokenizer.vocab_size} yields ids from {ids.min()} to {ids.max()} for "
            f"{document[:20]!r}. Fix it, or load the tokenizer again."
        )
    return ids.astype(token_dtype(tokenizer.vocab_size))


def _run(jobs: Iterator[_Job], tokenizer: Tokenizer, num_processes: int) -> Iterator[ShardHeader]:
    """The headers of the shards in their order; at most a few jobs wait at a time."""
    if num_processes == 1:
        yield from (job.run(tokenizer) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")  # the same on every system, and safe beside PyTorch's threads
    pool = ProcessPoolExecutor(num_processes, context, _start_worker, (tokenizer,))
    waiting: deque[Future[ShardHeader]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(_work, job))
            if len(waiting) == 2 * num_processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise DataError(
            f"One of the {num_processes} processes ended before its shard was written, perhaps because memory ran out. "
            "Try again with fewer processes or smaller shards: finished shards are kept."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(tokenizer: Tokenizer) -> None:
    """Keep the tokenizer for all jobs of this process, leave Ctrl-C to the parent, and never outlive it."""
    global _tokenizer
    _tokenizer = tokenizer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(job: _Job) -> ShardHeader:
    return job.run(_tokenizer)


_tokenizer: Tokenizer  # of a worker process, set when it starts


def _remove_leftovers(folder: Path, num_shards: int) -> None:
    """Files that a killed run began to write, and shards past the last that an earlier text had."""
    wanted = {shard_path(folder, number) for number in range(num_shards)}
    for path in [*folder.glob(".*.tmp"), *(set(folder.glob("shard-*.tokens")) - wanted)]:
        path.unlink(missing_ok=True)


def _to_bytes(document: str) -> bytes:
    return document.encode("utf-8", errors="surrogatepass")
