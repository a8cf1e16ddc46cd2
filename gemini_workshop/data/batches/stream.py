"""Token ids as one long stream: what rows are cut from, whether it is in memory or on disk."""

import hashlib
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Integer
from torch import Tensor

from gemini_workshop.data.tokenizers.checks import unknown_id


@runtime_checkable
class TokenStream(Protocol):
    """The ids of many documents, an end of text after each."""

    @property
    def num_tokens(self) -> int:
        """Ids in the stream, the ends of text included."""
        ...

    @property
    def vocab_size(self) -> int:
        """Ids run from 0 to ``vocab_size - 1``."""
        ...

    @property
    def end_of_text_id(self) -> int:
        """The id that ends each document."""
        ...

    @property
    def sha256(self) -> str:
        """Streams with equal sums hold equal ids."""
        ...

    def tokens(self, start: int, stop: int) -> Int[np.ndarray, " N"]:
        """The ids from place ``start`` up to, not including, ``stop``."""
        ...

    def document_ends(self) -> Int[np.ndarray, " M"]:
        """The place after each document's end of text."""
        ...


class TokenArray:
    """A stream that is held in memory.

    Args:
        end_of_text_id: where documents end; the last id of the vocabulary, if left out.

    Raises:
        DataError: an id is outside the vocabulary.
    """

    def __init__(
        self,
        token_ids: Integer[Tensor, " N"] | Integer[np.ndarray, " N"],
        vocab_size: int,
        end_of_text_id: int | None = None,
    ) -> None:
        self.ids = np.asarray(token_ids, dtype=np.int64)
        self.num_tokens, self.vocab_size = len(self.ids), vocab_size
        self.end_of_text_id = vocab_size - 1 if end_of_text_id is None else end_of_text_id
        outside = np.flatnonzero((self.ids < 0) | (self.ids >= vocab_size))
        if len(outside):
            raise unknown_id(int(self.ids[outside[0]]), int(outside[0]), vocab_size)

    def __str__(self) -> str:
        return "the text"

    @property
    def sha256(self) -> str:
        """Of the ids."""
        return hashlib.sha256(self.ids.tobytes()).hexdigest()

    def tokens(self, start: int, stop: int) -> Int[np.ndarray, " N"]:
        """The ids from place ``start`` up to, not including, ``stop``."""
        return self.ids[start:stop]

    def document_ends(self) -> Int[np.ndarray, " M"]:
        """The place after each document's end of text."""
        return np.flatnonzero(self.ids == self.end_of_text_id) + 1
