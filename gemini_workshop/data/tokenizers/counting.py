"""How often each word occurs, from a stream of documents: what training needs of a corpus.

Memory grows with the distinct words and not with the corpus, which is read once, a document at a time.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice

from tqdm import tqdm

from gemini_workshop.data.tokenizers.splitting import split_piece, sure_pieces

BATCH_CHARACTERS = 1 << 22


def count_words(
    documents: Iterable[str], pattern: str = "gpt2", *, processes: int = 1, progress: bool = False
) -> Counter[bytes]:
    """How often each word occurs, in the order of first occurrence, whatever the number of processes.

    Args:
        processes: more than one pays from some tens of megabytes on; below, starting them costs more than it saves.
        progress: show a bar on stderr when counting takes more than two seconds.

    Example:
        >>> count_words(["to be or", "not to be"])
        Counter({b' be': 2, b'to': 1, b' or': 1, b'not': 1, b' to': 1})
    """
    pieces: Counter[bytes] = Counter()
    with tqdm(desc="characters", unit="", unit_scale=True, delay=2, disable=not progress) as bar:
        for batch, counts in _counted_batches(_batches(documents), pattern, processes):
            pieces.update(counts)
            bar.update(batch)
    words: Counter[bytes] = Counter()
    for piece, count in pieces.items():
        for word in split_piece(piece, pattern):
            words[word] += count
    return words


def _batches(documents: Iterable[str]) -> Iterator[list[str]]:
    """Enough documents at a time for a process to be worth asking."""
    batch: list[str] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _counted_batches(
    batches: Iterator[list[str]], pattern: str, processes: int
) -> Iterator[tuple[int, Counter[bytes]]]:
    """Characters and counts of each batch, in order; at most two batches wait for each process."""
    if processes == 1:
        yield from (_count_pieces(batch, pattern) for batch in batches)
        return
    with ProcessPoolExecutor(processes) as pool:
        waiting: deque[Future[tuple[int, Counter[bytes]]]] = deque()
        while True:
            for batch in islice(batches, 2 * processes - len(waiting)):
                waiting.append(pool.submit(_count_pieces, batch, pattern))
            if not waiting:
                return
            yield waiting.popleft().result()


def _count_pieces(documents: list[str], pattern: str) -> tuple[int, Counter[bytes]]:
    counts: Counter[bytes] = Counter()
    for pieces in sure_pieces(documents, pattern):
        counts.update(pieces)
    return sum(map(len, documents)), counts
