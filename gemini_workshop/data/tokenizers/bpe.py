"""Byte-pair encoding as it is taught: count neighbours, merge the most frequent pair, repeat.

Start from the 256 bytes, so that every text has an encoding, and add one token at a time:

    ids 0-255: the bytes;   256, 257, ...: the merged pairs, in the order learned

Short, slow, and the oracle of the fast forms in :mod:`~gemini_workshop.data.tokenizers.training` and
:mod:`~gemini_workshop.data.tokenizers.merging`, which give the same merges and the same ids.

Source: Sennrich et al. 2016, arXiv:1508.07909, section 3.2; on bytes: Radford et al. 2019, "Language Models are
Unsupervised Multitask Learners", section 2.2.
Differs: of pairs that occur equally often, the one seen first in the text wins.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from gemini_workshop.errors import DataError

NUM_BYTES = 256

Pair = tuple[int, int]


def count_pairs(ids: Sequence[int]) -> Counter[Pair]:
    """How often each pair of neighbours occurs, overlaps included; pairs seen first stand first.

    Example:
        >>> count_pairs(b"abab")
        Counter({(97, 98): 2, (98, 97): 1})
    """
    return Counter(pairwise(ids))


def merge_pair(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    """Replace each occurrence of the pair, from left to right, by the new id.

    Example:
        >>> merge_pair(b"aaab", (97, 97), 256)
        [256, 97, 98]
    """
    merged: list[int] = []
    i = 0
    while i < len(ids):
        if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


def train_bpe(words: Sequence[Sequence[int]], num_merges: int) -> dict[Pair, int]:
    """Learn which pairs to merge, by counting all pairs afresh before each merge.

    Args:
        words: the bytes of each word of the text, in its order; pairs do not span words.

    Returns:
        The id of each merged pair, in the order learned.

    Raises:
        DataError: before the last merge, no pair is left.

    Example:
        >>> train_bpe([b"low", b" lower", b" low"], num_merges=2)
        {(108, 111): 256, (256, 119): 257}
    """
    words = [list(word) for word in words]
    merges: dict[Pair, int] = {}
    for new_id in range(NUM_BYTES, NUM_BYTES + num_merges):
        counts: Counter[Pair] = Counter()
        for word in words:
            counts.update(pairwise(word))
        if not counts:
            raise too_little_text(len(merges), num_merges)
        pair = max(counts, key=counts.__getitem__)
        words = [merge_pair(word, pair, new_id) for word in words]
        merges[pair] = new_id
    return merges


def apply_merges(ids: Sequence[int], merges: Mapping[Pair, int]) -> list[int]:
    """Encode the bytes of one word: of the pairs present, merge the one learned earliest; repeat.

    Example:
        >>> apply_merges(b"abc", {(98, 99): 256, (97, 98): 257, (97, 256): 258})
        [258]
    """
    ids = list(ids)
    while len(ids) > 1:
        pair = min(pairwise(ids), key=lambda pair: merges.get(pair, float("inf")))
        if pair not in merges:
            break
        ids = merge_pair(ids, pair, merges[pair])
    return ids


def too_little_text(num_learned: int, num_merges: int) -> DataError:
    """The error of both trainers when they run out of pairs."""
    return DataError(
        f"The text yields {num_learned} merges, but {num_merges} were asked for. "
        f"Train on more text, or choose vocab_size <= {NUM_BYTES + num_learned + 1}."
    )
