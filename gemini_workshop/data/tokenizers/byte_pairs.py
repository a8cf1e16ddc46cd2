"""Byte-level byte-pair encoding, as fast as Python can make it.

Training is :func:`~gemini_workshop.data.tokenizers.training.train_bpe_fast` on counted words. Encoding cuts the text
into pieces (:func:`~gemini_workshop.data.tokenizers.splitting.sure_pieces`), looks up the packed ids of each, and joins
them; only a piece not seen before is split into words and merged.

    ids 0-255: the bytes;   256, 257, ...: the merged pairs, in the order learned;   then the special tokens
"""

import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt16, UInt32

from gemini_workshop.data.tokenizers.bpe import NUM_BYTES, Pair
from gemini_workshop.data.tokenizers.checks import (
    END_OF_TEXT,
    allowed_tokens,
    check_documents,
    check_special_tokens,
    damaged,
    unknown_id,
    write_json,
)
from gemini_workshop.data.tokenizers.counting import count_words
from gemini_workshop.data.tokenizers.merging import BYTES_IN_ORDER, Memory, merge_word, merges_of, tokens_of
from gemini_workshop.data.tokenizers.normalization import Normalization, check_normalization, normalize
from gemini_workshop.data.tokenizers.splitting import PATTERNS, check_pattern, split_piece, sure_pieces
from gemini_workshop.data.tokenizers.training import train_bpe_fast
from gemini_workshop.errors import DataError


class BPETokenizer:
    """Byte-level byte-pair encoding.

    Args:
        merges: the id of each merged pair, in the order learned; ids count up from 256.
        tokens: the bytes of each id; lower ids were learned earlier, the first 256 are the bytes. Either of merges and
            tokens can do without the other.
        pattern: how text is split into words, a name of
            :data:`~gemini_workshop.data.tokenizers.splitting.PATTERNS`.
        special_tokens: their ids, the end of text among them; without it, that follows the last merge.
        normalization: the Unicode form that text is brought into before it is encoded.

    Raises:
        DataError: there is no such pattern or form; the first 256 tokens are not the bytes, two tokens are the same, or
            the special tokens are not names with ids of their own.
    """

    def __init__(
        self,
        merges: Mapping[Pair, int] | None = None,
        *,
        tokens: Sequence[bytes] | None = None,
        pattern: str = "gpt2",
        special_tokens: Mapping[str, int] | None = None,
        normalization: Normalization | None = None,
    ) -> None:
        check_pattern(pattern)
        check_normalization(normalization)
        self.tokens = list(tokens) if tokens is not None else tokens_of(merges or {})
        self.ranks = {token: i for i, token in enumerate(self.tokens)}
        _check_tokens(self.tokens, self.ranks)
        if merges is not None:
            self.merges = dict(merges)
        self.pattern = pattern
        self.special_tokens = {END_OF_TEXT: len(self.tokens)} if special_tokens is None else dict(special_tokens)
        check_special_tokens(self.special_tokens, len(self.tokens))
        self.normalization = normalization
        self._bytes = dict(enumerate(self.tokens)) | {i: token.encode() for token, i in self.special_tokens.items()}
        self._dtype = np.dtype(np.uint16 if self.vocab_size <= 1 << 16 else np.uint32)
        self._memory = Memory(self._encode_piece)

    @classmethod
    def train(
        cls,
        documents: Iterable[str],
        vocab_size: int,
        progress: bool = False,
        *,
        pattern: str = "gpt2",
        special_tokens: Sequence[str] = (),
        normalization: Normalization | None = None,
        processes: int = 1,
    ) -> "BPETokenizer":
        """Learn merges until bytes, merges and special tokens fill the vocabulary.

        The documents are read once, in order, and not kept: memory grows with the distinct words (with pattern
        "whole", a document is one word).

        Args:
            progress: show a bar on stderr when training takes more than two seconds.
            special_tokens: their ids follow the merges and the end of text, in this order.
            processes: how many count words at the same time; see
                :func:`~gemini_workshop.data.tokenizers.counting.count_words`.

        Raises:
            DataError: vocab_size has no room for the bytes and the special tokens, or the text is too short for it.
        """
        specials = [END_OF_TEXT, *special_tokens]
        least = NUM_BYTES + len(specials)
        if vocab_size < least:
            raise DataError(
                f"vocab_size={vocab_size} is below {least}. The vocabulary needs the 256 bytes and "
                f"{', '.join(specials)}. Choose vocab_size >= {least}."
            )
        num_merges = vocab_size - least
        check_pattern(pattern)
        check_normalization(normalization)
        texts = (normalize(document, normalization) for document in check_documents(documents))
        words = count_words(texts, pattern, processes=processes, progress=progress)
        if not words:
            raise DataError("The documents hold no text. Give at least one character to learn from.")
        return cls(
            train_bpe_fast(words, num_merges, progress),
            pattern=pattern,
            special_tokens={token: NUM_BYTES + num_merges + i for i, token in enumerate(specials)},
            normalization=normalization,
        )

    def with_special_tokens(self, names: Sequence[str]) -> "BPETokenizer":
        """The same vocabulary with further special tokens, whose ids follow all others.

        Raises:
            DataError: it has one of them already, or one is empty.
        """
        if known := [name for name in names if name in self.special_tokens]:
            raise DataError(f"The vocabulary has {', '.join(known)} already. Name tokens that it lacks.")
        ids = range(self.vocab_size, self.vocab_size + len(names))
        return BPETokenizer(
            getattr(self, "merges", None),
            tokens=self.tokens,
            pattern=self.pattern,
            special_tokens=self.special_tokens | dict(zip(names, ids, strict=True)),
            normalization=self.normalization,
        )

    @cached_property
    def merges(self) -> dict[Pair, int]:
        """The id of each merged pair, in the order learned. From tokens alone, they are worked out when asked for."""
        return merges_of(self.tokens)

    @property
    def vocab_size(self) -> int:
        """One more than the highest id."""
        return max(self.special_tokens.values()) + 1

    @property
    def end_of_text_id(self) -> int:
        """The id that ends a document."""
        return self.special_tokens[END_OF_TEXT]

    def encode(self, text: str, allowed_special: str | Collection[str] = ()) -> list[int]:
        """The text as ids.

        Args:
            allowed_special: the special tokens to be recognised in the text: "all", or those named. Any other is text
                like everything else, so that nobody ends a document by writing ``<|endoftext|>`` into it.

        Raises:
            DataError: a token in allowed_special is not in the vocabulary.
        """
        return self.encode_array(text, allowed_special).tolist()

    def encode_array(
        self, text: str, allowed_special: str | Collection[str] = ()
    ) -> UInt16[np.ndarray, " N"] | UInt32[np.ndarray, " N"]:
        """:meth:`encode` to an array of 16 bits an id where the vocabulary fits in them, else 32."""
        allowed = allowed_tokens(allowed_special, self.special_tokens)
        if not allowed:
            packed = self._packed(text)
        else:
            parts = re.split("(" + "|".join(map(re.escape, allowed)) + ")", text)
            packed = (
                self._pack([self.special_tokens[part]]) if i % 2 else b"".join(self._packed(part))
                for i, part in enumerate(parts)
            )
        return np.frombuffer(bytearray().join(packed), self._dtype)

    def forget(self) -> None:
        """Forget the pieces seen so far, as if no text had been encoded yet."""
        self._memory.clear()

    def _packed(self, text: str) -> Iterator[bytes]:
        look_up = self._memory.__getitem__
        for pieces in sure_pieces([normalize(text, self.normalization)], self.pattern):
            yield b"".join(map(look_up, pieces))

    def _encode_piece(self, piece: bytes) -> bytes:
        ids: list[int] = []
        for word in split_piece(piece, self.pattern):
            known = self.ranks.get(word)
            ids += merge_word(word, self.ranks) if known is None else (known,)
        return self._pack(ids)

    def _pack(self, ids: Sequence[int]) -> bytes:
        return array(self._dtype.char, ids).tobytes()

    def decode(self, ids: Sequence[int] | Integer[np.ndarray, " N"]) -> str:
        """The text of the ids; incomplete characters become ``�``.

        Raises:
            DataError: an id is outside the vocabulary.
        """
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Sequence[int] | Integer[np.ndarray, " N"]) -> bytes:
        """The bytes of the ids, which may end in the middle of a character.

        Raises:
            DataError: an id is outside the vocabulary.
        """
        try:
            return b"".join(map(self._bytes.__getitem__, ids))
        except KeyError:
            place, i = next((place, i) for place, i in enumerate(ids) if i not in self._bytes)
            raise unknown_id(i, place, self.vocab_size) from None

    def save(self, path: str | Path) -> None:
        """Write one JSON file for :func:`~gemini_workshop.data.tokenizers.load_tokenizer`."""
        content: dict[str, Any] = {"kind": "bpe", "word_pattern": PATTERNS[self.pattern].unicode}
        byte_order = b"".join(self.tokens[:NUM_BYTES])
        if byte_order != BYTES_IN_ORDER:
            content["byte_order"] = list(byte_order)
        if self.special_tokens != {END_OF_TEXT: len(self.tokens)}:
            content["special_tokens"] = self.special_tokens
        if self.normalization is not None:
            content["normalization"] = self.normalization
        write_json(path, content | {"merges": list(self.merges)})

    @classmethod
    def from_json(cls, path: str | Path, content: dict[str, Any]) -> "BPETokenizer":
        """The tokenizer of a file that :meth:`save` wrote.

        Raises:
            DataError: the content is not what :meth:`save` writes.
        """
        word_pattern = content.get("word_pattern")
        pattern = next((name for name, known in PATTERNS.items() if known.unicode == word_pattern), None)
        if pattern is None:
            raise damaged(path, f"it splits words by {word_pattern!r}, which this version does not")
        merges = _read_merges(path, content)
        byte_order = content.get("byte_order", list(BYTES_IN_ORDER))
        if not isinstance(byte_order, list) or sorted(map(str, byte_order)) != sorted(map(str, BYTES_IN_ORDER)):
            raise damaged(path, "its byte_order is not the 256 bytes in some order")
        special_tokens = content.get("special_tokens")
        if special_tokens is not None and not _are_names_with_ids(special_tokens):
            raise damaged(path, f"its special_tokens are {special_tokens!r}, not names with ids")
        try:
            check_normalization(content.get("normalization"))
            return cls(
                merges,
                tokens=tokens_of(merges, bytes(map(int, byte_order))),
                pattern=pattern,
                special_tokens=special_tokens,
                normalization=content.get("normalization"),
            )
        except DataError as error:
            raise damaged(path, str(error).rstrip(".")) from None


def _check_tokens(tokens: Sequence[bytes], ranks: Mapping[bytes, int]) -> None:
    if sorted(tokens[:NUM_BYTES]) != [bytes([i]) for i in range(NUM_BYTES)]:
        raise DataError("The first 256 tokens are not the 256 bytes. Without all of them some text has no encoding.")
    if len(ranks) < len(tokens):
        twice = next(token for i, token in enumerate(tokens) if ranks[token] != i)
        raise DataError(f"The token {twice!r} is in the vocabulary twice. Each must have one id.")


def _are_names_with_ids(special_tokens: object) -> bool:
    return isinstance(special_tokens, dict) and all(type(i) is int for i in special_tokens.values())


def _read_merges(path: str | Path, content: dict[str, Any]) -> dict[Pair, int]:
    pairs = content.get("merges")
    if not isinstance(pairs, list):
        raise damaged(path, "it has no list of merges")
    merges: dict[Pair, int] = {}
    for new_id, pair in enumerate(pairs, start=NUM_BYTES):
        is_pair = isinstance(pair, list) and len(pair) == 2 and all(type(i) is int and 0 <= i < new_id for i in pair)
        if not is_pair or tuple(pair) in merges:
            raise damaged(path, f"merge {new_id - NUM_BYTES} is {pair!r}, not a new pair of ids below {new_id}")
        merges[tuple(pair)] = new_id
    return merges
