"""Rows of text on their way through a model.

    prefill     read many tokens into the cache; return the logits after the last one
    decode_one  read one more token of each row; return the logits after it

    reader = Reader(model)
    logits = reader.read(rows)           after each row
    logits = reader.read_next(tokens)    after one more token of each

Rows of unequal length share a batch: the shorter ones are padded on the left, and the padding is a segment of its own
that no other token attends to. Of a single row, what is in the cache already is not read again.

Rows may also join while others are being decoded, and leave: what they have in front of them is padding, too.

    reader.join(other)                   the rows of another reader below one's own
    reader.keep(rows)                    these rows alone

A model sees at most the ``context_tokens`` it was trained on, its window. When they are full, the older half is
forgotten and the newer half is read again, so that a text can continue without end.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.data.tokenizers.checks import check_ids
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import KVCache, left_padded, new_cache, reuse_prefix
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer


@torch.inference_mode()
def prefill(
    model: Transformer,
    token_ids: Int[Tensor, "B T"],
    cache: KVCache,
    segment_ids: Int[Tensor, "B S"] | None = None,
    chunk_tokens: int | None = None,
    media: Media | None = None,
) -> Float[Tensor, "B V"]:
    """Read tokens into the cache; return the logits after the last one.

    Args:
        segment_ids: of every token, cached ones included, where rows are padded.
        chunk_tokens: read this many at a time, which bounds the memory that a long prompt takes.
        media: what stands in the places of the tokens for images and audio; such a prompt is read at once.
    """
    if media is not None:
        return model.logits(model.hidden_states(token_ids, cache, segment_ids, media)[:, -1])
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
    """Read one more token of each row; return the logits after it."""
    return model(token_ids.unsqueeze(1), cache, segment_ids)[:, -1]


class Reader:
    """A model together with the rows of text that it has read.

    Args:
        max_tokens: length that no row will exceed; if left out, the cache grows as needed.
        chunk_tokens: how many tokens of a prompt are read at a time; all, if left out.

    Attributes:
        rows: what the model sees of each row.
        num_read: how many tokens went through the model in all.
    """

    def __init__(self, model: Transformer, *, max_tokens: int | None = None, chunk_tokens: int | None = None) -> None:
        self.model, self.window = model, model.config.context_tokens
        self.max_tokens = None if max_tokens is None else min(max_tokens, self.window)
        self.chunk_tokens = chunk_tokens
        self.rows: list[list[int]] = []
        self.cache: KVCache | None = None
        self.segment_ids: Int[Tensor, "B S"] | None = None
        self.num_read = 0

    def read(self, rows: Sequence[Sequence[int]], media: Media | None = None) -> Float[Tensor, "B V"]:
        """Read these rows from the beginning; return the logits after each.

        Of a row longer than the window, the model reads the end.

        Args:
            media: what stands in the places that the rows hold for images and audio.

        Raises:
            WorkshopError: a row is empty, or an id is outside the vocabulary; with media, a row is longer than the
                window.
        """
        longest = max(map(len, rows), default=0)
        if media is not None and longest > self.window:
            raise WorkshopError(
                f"The prompt has {longest} tokens with its images and audio, and the model reads {self.window}. "
                "Give fewer or smaller ones."
            )
        for row in rows:
            if not row:
                raise WorkshopError(
                    "The prompt has 0 tokens. A model needs at least one: for example, the end of text."
                )
            check_ids(row, self.model.config.vocab_size)
        seen = [list(row[-self.window :]) for row in rows]
        unread: Sequence[Sequence[int]] = seen
        if media is None and self.cache is not None and len(seen) == len(self.rows) == 1:
            unread = [reuse_prefix(self.cache, self.rows[0], seen[0])]
        else:
            self.cache = new_cache(
                self.model, len(seen), self.max_tokens, kind="growing" if self.max_tokens is None else "static"
            )
        token_ids, segment_ids = left_padded(unread, device=self._device)
        self.rows = seen
        self.num_read += sum(map(len, unread))
        self.segment_ids = None if len(set(map(len, unread))) == 1 else segment_ids
        media = None if media is None else media.map(lambda tensor: tensor.to(self._device))
        return prefill(self.model, token_ids, self.cache, self.segment_ids, self.chunk_tokens, media)

    def read_next(self, tokens: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """Read one more token of each row; return the logits after it."""
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
        """Make row i what row ``rows[i]`` was; rows may be repeated or left out."""
        assert self.cache is not None  # read() comes first
        rows = rows.to(self._device)
        self.cache.reorder(rows)
        self.rows = [list(self.rows[row]) for row in rows.tolist()]
        if self.segment_ids is not None:
            self.segment_ids = self.segment_ids[rows]

    def join(self, other: "Reader") -> None:
        """Take over the rows of another reader of the same model, below one's own; both have caches that grow."""
        assert other.cache is not None  # it has read something
        if self.cache is None or not self.rows:
            self.rows, self.cache, self.segment_ids = other.rows, other.cache, other.segment_ids
        else:
            both = [self._segments(), other._segments()]
            longest = max(segments.shape[1] for segments in both)
            self.segment_ids = torch.cat([F.pad(ids, (longest - ids.shape[1], 0)) for ids in both])
            self.cache.join(other.cache)
            self.rows = [*self.rows, *other.rows]
            self._drop_padding()
        self.num_read += other.num_read

    def keep(self, rows: Sequence[int]) -> None:
        """Leave out all rows but these, and the padding that only the others needed."""
        self.reorder(torch.tensor(rows, dtype=torch.long))
        self._drop_padding()

    def _segments(self) -> Int[Tensor, "B S"]:
        """The segment of every token: 0 padding, 1 text."""
        if self.segment_ids is not None:
            return self.segment_ids
        assert self.cache is not None  # it has read something
        return torch.ones(len(self.rows), self.cache.num_tokens, dtype=torch.long, device=self._device)

    def _drop_padding(self) -> None:
        """Forget columns in which every row has padding; rows of one length need no segments."""
        if self.segment_ids is None or not self.rows:
            return
        assert self.cache is not None  # it has read something
        needed = self.segment_ids.any(dim=0).int()
        if num_padding := int(needed.argmax()):
            self.cache.forget(num_padding)
            self.segment_ids = self.segment_ids[:, num_padding:]
        if self.segment_ids.all():
            self.segment_ids = None

    @property
    def _device(self) -> torch.device:
        return self.model.embedding.weight.device


def forget_older_half(row: Sequence[int], window: int) -> Sequence[int]:
    """What a model still sees of a row: all of it if it fits into the window, otherwise the last half window.

    Example:
        >>> forget_older_half([1, 2, 3, 4], window=4), forget_older_half([1, 2, 3, 4, 5], window=4)
        ([1, 2, 3, 4], [4, 5])
    """
    return row if len(row) <= window else row[-(window // 2) :]
