"""Byte-pair encoding as it is taught: count neighbours, merge the most frequent pair, repeat.

Start from the 256 bytes, so that every text has an encoding, and add one token at a time:

    ids 0-255: the bytes;   256, 257, ...: the merged pairs, in the order learned

A whole tokenizer, short and slow: ``pre_tokenize``, ``train_bpe``, ``encode``, ``decode``. It is the reference for the
fast forms in :mod:`~gemini_workshop.data.tokenizers.training` and :mod:`~gemini_workshop.data.tokenizers.merging`,
which give the same merges and the same ids.

Source: Sennrich et al. 2016, arXiv:1508.07909, section 3.2; on bytes: Radford et al. 2019, "Language Models are
Unsupervised Multitask Learners", section 2.2; the pattern of :func:`pre_tokenize` is the one published with GPT-2.
Differs: of pairs that occur equally often, the one seen first in the text wins.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import regex

from gemini_workshop.errors import DataError

NUM_BYTES = 256

Pair = tuple[int, int]


def count_pairs(ids: Sequence[int]) -> Counter[Pair]:
    """How often each pair of neighbours occurs, overlaps included; pairs seen first come first.

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


def pre_tokenize(text: str) -> list[str]:
    """Cut the text into words within which pairs are merged; joined, they are the text again.

    Example:
        >>> pre_tokenize("It's 12345  o'clock!")
        ['It', "'s", ' 12345', ' ', ' o', "'", 'clock', '!']
    """
    contractions = r"'(?:s|t|re|ve|m|ll|d)"
    letters, digits, signs = r" ?\p{L}+", r" ?\p{N}+", r" ?[^\s\p{L}\p{N}]+"
    blanks = r"\s+(?!\S)|\s+"
    return regex.findall("|".join([contractions, letters, digits, signs, blanks]), text)


def train_bpe(words: Sequence[Sequence[int]], num_merges: int) -> dict[Pair, int]:
    """Learn which pairs to merge, by counting all pairs again before each merge.

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


def encode(text: str, merges: Mapping[Pair, int], special_tokens: Mapping[str, int]) -> list[int]:
    """The ids of a text.

    Args:
        special_tokens: the ids of those to be recognized in the text, by their names; nothing else is special.

    Example:
        >>> encode("no<|end|>no", {(110, 111): 256}, {"<|end|>": 257})
        [256, 257, 256]
    """
    names = "|".join(re.escape(name) for name in special_tokens)
    parts = re.split(f"({names})", text) if names else [text]
    ids: list[int] = []
    for part in parts:
        if part in special_tokens:
            ids.append(special_tokens[part])
        else:
            for word in pre_tokenize(part):
                ids += apply_merges(word.encode(), merges)
    return ids


def decode(ids: Sequence[int], merges: Mapping[Pair, int]) -> str:
    """The text of the ids; incomplete characters become ``�``.

    Args:
        merges: the id of each merged pair, in the order learned.

    Example:
        >>> decode([115, 257], {(108, 111): 256, (256, 119): 257})
        'slow'
    """
    tokens = {i: bytes([i]) for i in range(NUM_BYTES)}
    for (left, right), new_id in merges.items():
        tokens[new_id] = tokens[left] + tokens[right]
    return b"".join(tokens[i] for i in ids).decode("utf-8", errors="replace")


def too_little_text(num_learned: int, num_merges: int) -> DataError:
    """The error of both trainers when they run out of pairs."""
    return DataError(
        f"The text yields {num_learned} merges, but {num_merges} were asked for. "
        f"Train on more text, or choose vocab_size <= {NUM_BYTES + num_learned + 1}."
    )
