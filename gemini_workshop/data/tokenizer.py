"""Text to token ids and back: by character, or by byte pairs learned from text.

Byte-pair encoding starts from the 256 bytes, so that every text has an encoding, and adds one token at a time:
the pair of neighbours that occurs most often becomes a token of its own.

    ids 0-255: the bytes;   256, 257, ...: the merged pairs, in the order learned;   the last id: end of text

Source: Sennrich et al. 2016, arXiv:1508.07909, section 3.2; on bytes, and with the split into words used here:
Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2.
Differs: of pairs that occur equally often, the one seen first in the text wins.
"""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import regex
from tqdm import tqdm

from gemini_workshop.data.files import write_atomically
from gemini_workshop.errors import DataError

END_OF_TEXT = "<|endoftext|>"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
NUM_BYTES = 256
# GPT-2's rule: an English contraction, or letters, or digits, or other signs, each with one space before it, or the
# rest of the white space. Nothing is dropped, and no token learned later spans two of these words.
WORD_PATTERN = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CACHED_WORDS = 500_000

Pair = tuple[int, int]


def split_words(text: str) -> list[str]:
    """Cut the text into the words within which pairs are merged; joined, they are the text again.

    Example:
        >>> split_words("It's 12  o'clock!")
        ['It', "'s", ' 12', ' ', ' o', "'", 'clock', '!']
    """
    return regex.findall(WORD_PATTERN, text)


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

    The shortest form, and the slowest: :class:`BPETokenizer` learns the same merges by :func:`train_bpe_fast`.

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
            counts.update(count_pairs(word))
        if not counts:
            raise _too_little_text(len(merges), num_merges)
        pair = max(counts, key=counts.__getitem__)
        words = [merge_pair(word, pair, new_id) for word in words]
        merges[pair] = new_id
    return merges


def train_bpe_fast(repeats: Mapping[bytes, int], num_merges: int, progress: bool = False) -> dict[Pair, int]:
    """Equal to :func:`train_bpe`, and fast enough for megabytes of text.

    The best pair comes from a heap of (-count, first place, pair). A pair is born in the merge that makes its newer
    half; from then on its count can only fall and its first place only move back. So an entry may be out of date, but
    never ranks too low: it is enough to look at the top one, and to put it where it belongs if it is out of date.

    Args:
        repeats: how often each word occurs, in the order of first occurrence.
        progress: show a bar on stderr when training takes more than two seconds.
    """
    index = _PairIndex(repeats)
    heap = [index.entry(pair) for pair in index.counts]
    heapq.heapify(heap)
    merges: dict[Pair, int] = {}
    for new_id in tqdm(range(NUM_BYTES, NUM_BYTES + num_merges), "merges", delay=2, disable=not progress):
        while heap and heap[0] != (current := index.entry(heap[0][2])):
            if index.counts[current[2]]:
                heapq.heapreplace(heap, current)
            else:
                heapq.heappop(heap)
        if not heap:
            raise _too_little_text(len(merges), num_merges)
        pair = heapq.heappop(heap)[2]
        merges[pair] = new_id
        for newcomer in index.merge(pair, new_id):
            heapq.heappush(heap, index.entry(newcomer))
    return merges


class _PairIndex:
    """The distinct words, how often each pair occurs in all of them, and which words hold it."""

    def __init__(self, repeats: Mapping[bytes, int]) -> None:
        self.words = [list(word) for word in repeats]
        self.repeats = list(repeats.values())
        self.num_bytes = [1] * NUM_BYTES  # of each token
        self.counts: Counter[Pair] = Counter()
        self.holders: defaultdict[Pair, list[int]] = defaultdict(list)  # word numbers, rising; some may have lost it
        for number, word in enumerate(self.words):
            for pair, count in count_pairs(word).items():
                self.counts[pair] += count * self.repeats[number]
                self.holders[pair].append(number)

    def entry(self, pair: Pair) -> tuple[int, tuple[int, int], Pair]:
        """What ranks the pair: the smallest entry is merged next."""
        return -self.counts[pair], self.first_place(pair), pair

    def first_place(self, pair: Pair) -> tuple[int, int]:
        """Word number and offset in it: in bytes, since merges to its left change the offset in tokens."""
        for number in self.holders[pair]:
            offset = 0
            for neighbours in pairwise(self.words[number]):
                if neighbours == pair:
                    return number, offset
                offset += self.num_bytes[neighbours[0]]
        return len(self.words), 0

    def merge(self, pair: Pair, new_id: int) -> set[Pair]:
        """Merge the pair in all words; return the pairs that this brings into being."""
        self.num_bytes.append(self.num_bytes[pair[0]] + self.num_bytes[pair[1]])
        newcomers: set[Pair] = set()
        for number in self.holders.pop(pair):
            before = count_pairs(self.words[number])
            self.words[number] = merge_pair(self.words[number], pair, new_id)
            after = count_pairs(self.words[number])
            for changed in before.keys() | after.keys():
                self.counts[changed] += (after[changed] - before[changed]) * self.repeats[number]
            for born in after.keys() - before.keys():
                self.holders[born].append(number)
                newcomers.add(born)
        return newcomers


def apply_merges(ids: Sequence[int], merges: dict[Pair, int]) -> list[int]:
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


def _too_little_text(num_learned: int, num_merges: int) -> DataError:
    return DataError(
        f"The text yields {num_learned} merges, but {num_merges} were asked for. "
        f"Train on more text, or choose vocab_size <= {NUM_BYTES + num_learned + 1}."
    )


@runtime_checkable
class Tokenizer(Protocol):
    """What the rest of the workshop needs of a tokenizer. Ids run from 0 to ``vocab_size - 1``."""

    @property
    def vocab_size(self) -> int:
        """Number of ids, the special ones included."""
        ...

    @property
    def end_of_text_id(self) -> int:
        """The id that ends a document. :meth:`encode` never yields it, whatever the text says."""
        ...

    def encode(self, text: str) -> list[int]:
        """The text as ids, without an end-of-text id."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids."""
        ...

    def save(self, path: str | Path) -> None:
        """Write one JSON file for :func:`load_tokenizer`."""
        ...


class CharTokenizer:
    """One id a character, in the order of Unicode; then one for all unknown characters, and the end of text."""

    def __init__(self, characters: Sequence[str]) -> None:
        self.characters = list(characters)
        self._ids = {character: i for i, character in enumerate(self.characters)}

    @classmethod
    def train(cls, documents: Iterable[str]) -> "CharTokenizer":
        """Give an id to each character that occurs.

        Raises:
            DataError: the documents hold no text, or are one text instead of a list.
        """
        found = set(chain.from_iterable(check_documents(documents)))
        if not found:
            raise DataError("The documents hold no text. Give at least one character to learn from.")
        return cls(sorted(found - {UNKNOWN}))

    @property
    def vocab_size(self) -> int:
        """The characters, the unknown one and the end of text."""
        return len(self.characters) + 2

    @property
    def unknown_id(self) -> int:
        """The id of every character that was not in the training text; it decodes to ``�``."""
        return len(self.characters)

    @property
    def end_of_text_id(self) -> int:
        """The id that ends a document."""
        return len(self.characters) + 1

    def encode(self, text: str) -> list[int]:
        """One id a character."""
        return [self._ids.get(character, self.unknown_id) for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        """The characters of the ids.

        Raises:
            DataError: an id is outside the vocabulary.
        """
        check_ids(ids, self.vocab_size)
        pieces = [*self.characters, UNKNOWN, END_OF_TEXT]
        return "".join(pieces[i] for i in ids)

    def save(self, path: str | Path) -> None:
        """Write one JSON file for :func:`load_tokenizer`."""
        _save(path, {"kind": "char", "characters": self.characters})


class BPETokenizer:
    """Byte-level byte-pair encoding.

    Args:
        merges: the id of each merged pair, in the order learned; ids count up from 256.
    """

    def __init__(self, merges: dict[Pair, int]) -> None:
        self.merges = merges
        self._bytes = [bytes([i]) for i in range(NUM_BYTES)]
        for left, right in merges:
            self._bytes.append(self._bytes[left] + self._bytes[right])
        self._bytes.append(END_OF_TEXT.encode())
        self._words: dict[str, list[int]] = {}

    @classmethod
    def train(cls, documents: Iterable[str], vocab_size: int, progress: bool = False) -> "BPETokenizer":
        """Learn ``vocab_size - 257`` merges from the documents.

        Args:
            progress: show a bar on stderr when training takes more than two seconds.

        Raises:
            DataError: vocab_size has no room for the bytes and the end of text, or the text is too short for it.
        """
        num_merges = vocab_size - NUM_BYTES - 1
        if num_merges < 0:
            raise DataError(
                f"vocab_size={vocab_size} is below 257. The vocabulary needs the 256 bytes and the end of text. "
                "Choose vocab_size >= 257."
            )
        repeats: Counter[str] = Counter()
        for document in check_documents(documents):
            repeats.update(split_words(document))
        if not repeats:
            raise DataError("The documents hold no text. Give at least one character to learn from.")
        return cls(train_bpe_fast({_to_bytes(word): n for word, n in repeats.items()}, num_merges, progress))

    @property
    def vocab_size(self) -> int:
        """The bytes, the merged pairs and the end of text."""
        return len(self._bytes)

    @property
    def end_of_text_id(self) -> int:
        """The id that ends a document."""
        return len(self._bytes) - 1

    def encode(self, text: str) -> list[int]:
        """The text as ids. The characters ``<|endoftext|>`` in it are text like any other."""
        ids: list[int] = []
        for word in split_words(text):
            known = self._words.get(word)
            ids.extend(self._encode_word(word) if known is None else known)
        return ids

    def _encode_word(self, word: str) -> list[int]:
        if len(self._words) >= CACHED_WORDS:
            self._words.clear()
        ids = self._words[word] = apply_merges(_to_bytes(word), self.merges)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; bytes that are no whole character become ``�``.

        Raises:
            DataError: an id is outside the vocabulary.
        """
        check_ids(ids, self.vocab_size)
        return b"".join(self._bytes[i] for i in ids).decode("utf-8", errors="replace")

    def save(self, path: str | Path) -> None:
        """Write one JSON file for :func:`load_tokenizer`."""
        _save(path, {"kind": "bpe", "word_pattern": WORD_PATTERN, "merges": list(self.merges)})


def check_documents(documents: Iterable[str]) -> Iterable[str]:
    """The documents, unless they are one text, which Python would take for a list of characters."""
    if isinstance(documents, str):
        raise DataError(f"documents={documents[:20]!r} is one text. Give a list of texts: [text].")
    return documents


def check_ids(ids: Sequence[int], vocab_size: int) -> None:
    """Raise a DataError for the first id that is not in the vocabulary."""
    for place, i in enumerate(ids):
        if not 0 <= i < vocab_size:
            raise DataError(
                f"token id {i} at position {place} is outside the vocabulary of {vocab_size}. "
                "Was the text encoded with another tokenizer?"
            )


def load_tokenizer(path: str | Path) -> CharTokenizer | BPETokenizer:
    """Read a tokenizer that ``save`` wrote.

    Raises:
        DataError: the file is missing, damaged, or of a kind that this version does not know.
    """
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise DataError(
            f"No tokenizer could be read from {path}: {error.strerror}. Give the file that save wrote."
        ) from None
    except ValueError as error:
        raise _damaged(path, f"it is not JSON ({error})") from None
    kind = content.get("kind") if isinstance(content, dict) else None
    if kind == "char":
        return CharTokenizer(_read_characters(path, content))
    if kind == "bpe":
        return BPETokenizer(_read_merges(path, content))
    raise _damaged(path, f"its kind is {kind!r}, not 'char' or 'bpe'")


def _read_characters(path: str | Path, content: dict[str, Any]) -> list[str]:
    characters = content.get("characters")
    if not isinstance(characters, list) or not all(isinstance(c, str) and len(c) == 1 for c in characters):
        raise _damaged(path, "its characters are not a list of single characters")
    if len(set(characters)) != len(characters):
        raise _damaged(path, "a character stands in it twice")
    return characters


def _read_merges(path: str | Path, content: dict[str, Any]) -> dict[Pair, int]:
    if content.get("word_pattern") != WORD_PATTERN:
        raise _damaged(path, f"it splits words by {content.get('word_pattern')!r}, which this version does not")
    pairs = content.get("merges")
    if not isinstance(pairs, list):
        raise _damaged(path, "it has no list of merges")
    merges: dict[Pair, int] = {}
    for new_id, pair in enumerate(pairs, start=NUM_BYTES):
        is_pair = isinstance(pair, list) and len(pair) == 2 and all(type(i) is int and 0 <= i < new_id for i in pair)
        if not is_pair or tuple(pair) in merges:
            raise _damaged(path, f"merge {new_id - NUM_BYTES} is {pair!r}, not a new pair of ids below {new_id}")
        merges[tuple(pair)] = new_id
    return merges


def _save(path: str | Path, content: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(content).encode("ascii"))


def _damaged(path: str | Path, what: str) -> DataError:
    return DataError(f"{path} is not a whole tokenizer: {what}. Save the tokenizer again, or train it anew.")


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="replace")
