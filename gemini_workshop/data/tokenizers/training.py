"""The merges of :func:`~gemini_workshop.data.tokenizers.bpe.train_bpe`, thousands of times faster.

All distinct words lie end to end in one list, a gap between them. A token is in it twice: in ``starts`` at its
first byte and in ``ends`` at its last, so that either neighbour is one look away, and a merge moves nothing:

    word     l   o   w       l   o   w   e   r          starts after l+o = 256 and 256+w = 257
    place    1   2   3   4   5   6   7   8   9          257 .  .  -1  257  .   .   e   r

A place never changes, so "seen first" is the smallest place, and the places of a pair are known when it is born.
After that its count can only fall, and its first place only move back.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from tqdm import tqdm

from gemini_workshop.data.tokenizers.bpe import NUM_BYTES, Pair, too_little_text

GAP = -1


def train_bpe_fast(repeats: Mapping[bytes, int], num_merges: int, progress: bool = False) -> dict[Pair, int]:
    """Equal to :func:`~gemini_workshop.data.tokenizers.bpe.train_bpe`, and fast enough for megabytes of text.

    Args:
        repeats: how often each word occurs, in the order of first occurrence.
        progress: show a bar on stderr when training takes more than two seconds.

    Raises:
        DataError: before the last merge, no pair is left.

    Example:
        >>> train_bpe_fast({b"low": 2, b" lower": 1}, num_merges=2)
        {(108, 111): 256, (256, 119): 257}
    """
    words = _Words(repeats)
    queue = _Queue(words)
    merges: dict[Pair, int] = {}
    for new_id in tqdm(range(NUM_BYTES, NUM_BYTES + num_merges), "merges", delay=2, disable=not progress):
        pair = queue.pop()
        if pair is None:
            raise too_little_text(len(merges), num_merges)
        merges[pair] = new_id
        for newcomer in words.merge(pair, new_id):
            queue.push(newcomer)
    return merges


class _Words:
    """All distinct words, the count of each pair in them, and where it may be."""

    def __init__(self, repeats: Mapping[bytes, int]) -> None:
        lengths = np.fromiter(map(len, repeats), np.int64, len(repeats))
        tokens = np.frombuffer(b"".join(repeats), np.uint8).astype(np.int64)
        tokens = np.insert(tokens, np.append(0, lengths.cumsum()), GAP)
        times = np.repeat(np.fromiter(repeats.values(), np.int64, len(repeats)), lengths + 1)
        self.starts: list[int] = tokens.tolist()
        self.ends: list[int] = tokens.tolist()
        self.times: list[int] = [0, *times.tolist()]  # how often the word at each place occurs
        self.num_bytes = [1] * NUM_BYTES  # of each token
        self.counts: dict[Pair, int] = {}
        self.places: dict[Pair, list[int]] = {}  # rising; a pair may have left some of them
        self._find_pairs(tokens)

    def _find_pairs(self, tokens: np.ndarray) -> None:
        left, right = tokens[:-1], tokens[1:]
        places = np.flatnonzero((left != GAP) & (right != GAP))
        keys = (left * NUM_BYTES + right)[places].astype(np.uint16)
        order = np.argsort(keys, kind="stable")
        places, keys = places[order], keys[order]
        for group in np.split(places, np.flatnonzero(np.diff(keys)) + 1) if len(places) else []:
            pair = self.starts[group[0]], self.starts[group[0] + 1]
            self.places[pair] = group.tolist()
            self.counts[pair] = self._count(self.places[pair])

    def _count(self, places: list[int]) -> int:
        return sum(map(self.times.__getitem__, places))

    def first_place(self, pair: Pair) -> int:
        """The first place of the pair. It must be somewhere."""
        left, right = pair
        places, length = self.places[pair], self.num_bytes[left]
        gone = 0
        while self.starts[places[gone]] != left or self.starts[places[gone] + length] != right:
            gone += 1
        del places[:gone]
        return places[0]

    def merge(self, pair: Pair, new_id: int) -> list[Pair]:
        """Merge the pair in all words; return the pairs that this brings into being."""
        left, right = pair
        before, after = self._replace(pair, new_id)
        newcomers: list[Pair] = []
        for neighbour, places in after.items():
            newcomers.append((new_id, neighbour))
            self._exchange((right, neighbour), (new_id, neighbour), places)
        for neighbour, places in before.items():
            newcomers.append((neighbour, new_id))
            self._exchange((neighbour, left), (neighbour, new_id), places)
        del self.counts[pair]
        return newcomers

    def _exchange(self, old: Pair, new: Pair, places: list[int]) -> None:
        count = self._count(places)
        self.places[new] = places
        self.counts[new] = count
        self.counts[old] -= count

    def _replace(self, pair: Pair, new_id: int) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """Put the new token in place of the pair; return where its neighbours before and after it now start a pair."""
        left, right = pair
        starts, ends, num_bytes = self.starts, self.ends, self.num_bytes
        left_bytes = num_bytes[left]
        both_bytes = left_bytes + num_bytes[right]
        num_bytes.append(both_bytes)
        before: defaultdict[int, list[int]] = defaultdict(list)
        after: defaultdict[int, list[int]] = defaultdict(list)
        for place in self.places.pop(pair):
            middle = place + left_bytes
            if starts[place] != left or starts[middle] != right:
                continue
            end = place + both_bytes
            starts[place] = ends[end - 1] = new_id
            starts[middle] = GAP
            if (neighbour := ends[place - 1]) != GAP:
                before[neighbour].append(place - num_bytes[neighbour])
            if (neighbour := starts[end]) != GAP:
                after[neighbour].append(place)
        return before, after


class _Queue:
    """The pairs by falling count, and among equal counts by rising place.

    A pair waits under the count it had when it was put there. When the highest count is reached, those that have it
    still are sorted by place, and the others wait on under the count they have now.
    """

    def __init__(self, words: _Words) -> None:
        self.words = words
        self.waiting: defaultdict[int, list[Pair]] = defaultdict(list)
        self.counts: list[int] = []  # a heap of the keys of waiting, negated
        self.level = 0  # the count of the pairs in ties
        self.ties: list[tuple[int, Pair]] = []  # a heap of place and pair
        for pair in words.counts:
            self.push(pair)

    def push(self, pair: Pair) -> None:
        """Add a pair, or put it back, where its count belongs."""
        count = self.words.counts[pair]
        if count and count == self.level:
            heapq.heappush(self.ties, (self.words.first_place(pair), pair))
        elif count:
            if count not in self.waiting:
                heapq.heappush(self.counts, -count)
            self.waiting[count].append(pair)

    def pop(self) -> Pair | None:
        """The most frequent pair, of several the one seen first; None when no pair is left."""
        while self.ties or self.counts:
            if not self.ties:
                self.level = -heapq.heappop(self.counts)
                for pair in self.waiting.pop(self.level):
                    self.push(pair)
                continue
            _, pair = heapq.heappop(self.ties)
            if self.words.counts[pair] == self.level:  # then it has lost no place either
                return pair
            self.push(pair)
        return None
