"""Rows of text on their way through a model.

    prefill     read many tokens into the cache, score the successor of the last one
    decode_one  read one more token of each row, score its successor

    reader = Reader(model)
    logits = reader.read(rows)       what may follow each row
    logits = reader.go_on(tokens)    and after one more token of each

Rows of unequal length share a batch: the shorter ones are padded on the left, and the padding is a segment of its own
at which nobody looks. Of a single row, what the cache holds already is not read again.

The window: a model sees at most the ``context_tokens`` it was trained on. When they are full, the older half is
forgotten and the newer half is read again, so that text can go on for as long as one likes.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import KVCache, left_padded, new_cache, reuse_prefix
from gemini_workshop.models.transformer import Transformer


@torch.inference_mode()
def prefill(
    model: Transformer,
    token_ids: Int[Tensor, "B T"],
    cache: KVCache,
    segment_ids: Int[Tensor, "B S"] | None = None,
    chunk_tokens: int | None = None,
) -> Float[Tensor, "B V"]:
    """Read tokens into the cache and score the successor of the last one.

    Args:
        segment_ids: of every token, cached ones included, where rows are padded.
        chunk_tokens: read so many at a time, which bounds the memory that a long prompt takes.
    """
    for part in token_ids.split(chunk_tokens or token_ids.shape[1], dim=1):
        segments = None if segment_ids is None else segment_ids[:, : cache.num_tokens + part.shape[1]]
        hidden = model.hidden_states(part, cache, segments)
    return model.logits(hidden[:, -1])


@torch.inference_mode()
def decode_one(
    model: Transformer,
    token_ids: Int[Tensor, " B"],
    cache: KVCache,
    segment_ids: Int[Tensor, "B S"] | None = None,
) -> Float[Tensor, "B V"]:
    """Read one more token of each row and score its successor."""
    return model(token_ids.unsqueeze(1), cache, segment_ids)[:, -1]


class Reader:
    """A model in the middle of some rows of text.

    Args:
        max_tokens: most tokens that a row will have; left out, the cache grows as it must.
        chunk_tokens: how many tokens of a prompt are read at a time; left out, all.

    Attributes:
        rows: what the model sees of each row.
        num_read: how many tokens went through the model, all rows and readings together.
    """

    def __init__(self, model: Transformer, *, max_tokens: int | None = None, chunk_tokens: int | None = None) -> None:
        self.model, self.window = model, model.config.context_tokens
        self.max_tokens = None if max_tokens is None else min(max_tokens, self.window)
        self.chunk_tokens = chunk_tokens
        self.rows: list[list[int]] = []
        self.cache: KVCache | None = None
        self.segment_ids: Int[Tensor, "B S"] | None = None
        self.num_read = 0

    def read(self, rows: Sequence[Sequence[int]]) -> Float[Tensor, "B V"]:
        """Begin with these rows, each from its beginning, and score their successors.

        Of a row longer than the window, the model reads the end.

        Raises:
            WorkshopError: a row is empty, or an id is outside the vocabulary.
        """
        self._check(rows)
        seen = [list(row[-self.window :]) for row in rows]
        unread: Sequence[Sequence[int]] = seen
        if self.cache is not None and len(seen) == len(self.rows) == 1:
            unread = [reuse_prefix(self.cache, self.rows[0], seen[0])]
        else:
            self.cache = new_cache(
                self.model, len(seen), self.max_tokens, kind="growing" if self.max_tokens is None else "static"
            )
        token_ids, segment_ids = left_padded(unread, device=self._device)
        self.rows = seen
        self.num_read += sum(map(len, unread))
        self.segment_ids = None if len(set(map(len, unread))) == 1 else segment_ids
        return prefill(self.model, token_ids, self.cache, self.segment_ids, self.chunk_tokens)

    def go_on(self, tokens: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Read one more token of each row and score their successors."""
        assert self.cache is not None  # read() comes first
        for row, token in zip(self.rows, tokens.tolist(), strict=True):
            row.append(token)
        if self.cache.num_tokens == self.window:
            return self.read([forget_older_half(row, self.window) for row in self.rows])
        if self.segment_ids is not None:
            self.segment_ids = torch.cat([self.segment_ids, torch.ones_like(self.segment_ids[:, :1])], dim=1)
        self.num_read += len(tokens)
        return decode_one(self.model, tokens.to(self._device), self.cache, self.segment_ids)

    def reorder(self, rows: Int[Tensor, " new_B"]) -> None:
        """Let row i be what row ``rows[i]`` was; rows may be repeated or left out."""
        assert self.cache is not None  # read() comes first
        rows = rows.to(self._device)
        self.cache.reorder(rows)
        self.rows = [list(self.rows[row]) for row in rows.tolist()]
        if self.segment_ids is not None:
            self.segment_ids = self.segment_ids[rows]

    @property
    def _device(self) -> torch.device:
        return self.model.embedding.weight.device

    def _check(self, rows: Sequence[Sequence[int]]) -> None:
        vocab_size = self.model.config.vocab_size
        for row in rows:
            if not row:
                raise WorkshopError(
                    "The prompt has 0 tokens. A model needs one to start from: the end of text, for example."
                )
            if max(row) >= vocab_size:
                raise WorkshopError(
                    f"token id {max(row)} is outside the vocabulary of {vocab_size}. "
                    "Was the text encoded with another tokenizer?"
                )


def forget_older_half(row: Sequence[int], window: int) -> Sequence[int]:
    """What a model still sees of a row: all of it, or the newer half of the window once it does not fit.

    Example:
        >>> forget_older_half([1, 2, 3, 4], window=4), forget_older_half([1, 2, 3, 4, 5], window=4)
        ([1, 2, 3, 4], [4, 5])
    """
    return row if len(row) <= window else row[-(window // 2) :]
