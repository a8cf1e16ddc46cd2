"""Ways to lay a text out in rows; ``rows[i]`` is computed when asked for.

windows     equal stretches of the stream; documents run on into one another, or are kept apart
packed      whole documents, several to a row; those longer than a row are cut
documents   one document per row, those longer than a row cut; a batch is padded to its longest

A further layout is a class of its own with two methods, ``__len__`` and ``__getitem__``: a row may ignore any of its
targets (the prompt before an answer), and ``batch`` may put rows together that belong together (pairs).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Int

from gemini_workshop.data.batches.batch import IGNORE_INDEX, Batch, Row, pad_rows
from gemini_workshop.data.batches.packing import best_fit, cut_into_pieces, join_pieces, segments_of
from gemini_workshop.data.batches.stream import TokenStream
from gemini_workshop.errors import DataError


class Rows(ABC):
    """The rows of a text.

    Attributes:
        pad_id: what shorter rows of a batch are filled up with.
        row_tokens: the length of every row of a batch; None if it is that of the batch's longest.
    """

    pad_id: int = 0
    row_tokens: int | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Rows in one epoch."""

    @abstractmethod
    def __getitem__(self, index: int) -> Row:
        """One row, counting from 0."""

    def batch(self, numbers: Sequence[int]) -> Batch:
        """The rows of these numbers."""
        return pad_rows([self[number] for number in numbers], self.pad_id, self.row_tokens)

    def in_order(self, batch_size: int, max_batches: int | None = None) -> Iterator[Batch]:
        """All rows in their order, for evaluation: each target counts once. The last batch may be smaller.

        Args:
            max_batches: if there are more, this many, of rows spread evenly over the text.
        """
        for numbers in spread_batches(len(self), batch_size, max_batches):
            yield self.batch(numbers)


def spread_batches(num_rows: int, batch_size: int, max_batches: int | None = None) -> Iterator[Sequence[int]]:
    """The numbers of the rows in each batch: all rows in their order, or some, spread evenly.

    Example:
        >>> [list(numbers) for numbers in spread_batches(5, batch_size=2)]
        [[0, 1], [2, 3], [4]]
        >>> list(spread_batches(11, batch_size=2, max_batches=2))
        [[0, 3], [6, 10]]
    """
    numbers: Sequence[int] = range(num_rows)
    if max_batches is not None and num_rows > max_batches * batch_size:
        spread = torch.linspace(0, num_rows - 1, max_batches * batch_size, dtype=torch.float64)
        numbers = spread.long().tolist()
    return (numbers[first : first + batch_size] for first in range(0, len(numbers), batch_size))


class WindowRows(Rows):
    """Windows over the stream, one every ``stride`` tokens; the last one ends with the stream.

        stream        t0 t1 t2 t3 t4 t5 t6        context_tokens = 3, stride = 2
        window 0      t0 t1 t2                    targets t1 t2 t3
        window 1            t2 t3 t4              targets t3 t4 t5
        window 2               t3 t4 t5           targets t4 t5 t6

    In order, each token but the first is a target once: in every window but the first, the first
    ``context_tokens - stride`` tokens are there only to be looked at, and the last window is shorter.

        window 1            t2 t3 t4              targets -  t4 t5
        window 2                  t4 t5           targets -  t6

    Args:
        stride: from 1 to ``context_tokens``, which is the default.
        keeps_apart: number the documents in a window as segments, and predict no token of the next document.
            Otherwise a window is one segment.

    Raises:
        DataError: the stream is too short for one window, or the stride would leave tokens out.
    """

    def __init__(
        self, stream: TokenStream, context_tokens: int, stride: int | None = None, *, keeps_apart: bool = False
    ) -> None:
        stride = context_tokens if stride is None else stride
        if context_tokens < 1:
            raise DataError(f"context_tokens={context_tokens} is not positive. Choose context_tokens >= 1.")
        if not 1 <= stride <= context_tokens:
            raise DataError(
                f"stride={stride} is outside 1 to context_tokens={context_tokens}: a longer one leaves tokens out. "
                f"Choose for example stride={context_tokens}."
            )
        if stream.num_tokens < context_tokens + 1:
            raise DataError(
                f"{stream.num_tokens} tokens in {stream} are too few for a window of context_tokens={context_tokens}, "
                f"which needs {context_tokens + 1}. "
                f"Use more text, or choose context_tokens <= {max(stream.num_tokens - 1, 1)}."
            )
        self.stream, self.context_tokens, self.stride, self.keeps_apart = stream, context_tokens, stride, keeps_apart
        self._last_start = stream.num_tokens - 1 - context_tokens

    def __len__(self) -> int:
        return -(-self._last_start // self.stride) + 1

    def __getitem__(self, index: int) -> Row:
        _check_index(index, len(self))
        return self._row(min(index * self.stride, self._last_start), self.context_tokens)

    def in_order(self, batch_size: int, max_batches: int | None = None) -> Iterator[Batch]:
        """As :meth:`Rows.in_order`; the last window, which is shorter, is a batch of its own."""
        strides, targets_left = divmod(self._last_start, self.stride)
        num_whole = strides + 1  # the first window begins before any stride
        for numbers in spread_batches(num_whole, batch_size, max_batches):
            yield pad_rows([self._scored_once(number, self.context_tokens) for number in numbers], 0)
        is_limited = max_batches is not None and num_whole > max_batches * batch_size
        if targets_left and not is_limited:
            yield pad_rows([self._scored_once(num_whole, self._only_looked_at + targets_left)], 0)

    @property
    def _only_looked_at(self) -> int:
        """Tokens that every window but the first shares with the one before it, which has scored them."""
        return self.context_tokens - self.stride

    def _scored_once(self, number: int, length: int) -> Row:
        row = self._row(number * self.stride, length)
        if number:
            row.targets[: self._only_looked_at] = IGNORE_INDEX
        return row

    def _row(self, start: int, length: int) -> Row:
        tokens = self.stream.tokens(start, start + length + 1)
        inputs, targets = tokens[:-1], tokens[1:].copy()
        if not self.keeps_apart:
            return Row(inputs, targets)
        targets[inputs == self.stream.end_of_text_id] = IGNORE_INDEX  # what follows is another document's first token
        return Row(inputs, targets, segments_of(inputs, self.stream.end_of_text_id))


class DocumentRows(Rows):
    """One document per row, or one piece of a document longer than ``context_tokens`` pairs.

    Sixteen bytes per piece are held in memory. A document without text has nothing to predict, and no row.
    """

    def __init__(self, stream: TokenStream, context_tokens: int) -> None:
        self.stream, self.pad_id = stream, stream.end_of_text_id
        ends = stream.document_ends()
        self.starts, self.lengths = cut_into_pieces(ends, context_tokens)
        if not len(self.starts):
            raise DataError(
                f"The {len(ends)} documents in {stream} hold no text: nothing follows anything. "
                "Use documents of at least one token."
            )

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Row:
        _check_index(index, len(self.starts))
        piece = self.piece(index)
        return Row(piece[:-1], piece[1:])

    def piece(self, index: int) -> Int[np.ndarray, " N"]:
        """The tokens of one piece, one more than it has pairs."""
        start = int(self.starts[index])
        return self.stream.tokens(start, start + int(self.lengths[index]) + 1)


class PackedRows(Rows):
    """Several documents per row, each a segment of its own; what is left of the row is padding.

    Twenty-four bytes per document, and eight per row, are held in memory.
    """

    def __init__(self, stream: TokenStream, context_tokens: int) -> None:
        self.documents = DocumentRows(stream, context_tokens)
        self.pad_id, self.row_tokens = self.documents.pad_id, context_tokens
        row_of = best_fit(self.documents.lengths, context_tokens)  # such as     0 1 1 0: pieces 0 and 3 share row 0
        self._pieces = np.argsort(row_of, kind="stable")  # row by row, then    0 3 1 2
        self._row_ends = np.cumsum(np.bincount(row_of))  # of each row in that    2   4

    def __len__(self) -> int:
        return len(self._row_ends)

    def __getitem__(self, index: int) -> Row:
        _check_index(index, len(self))
        start = self._row_ends[index - 1] if index else 0
        pieces = self._pieces[start : self._row_ends[index]].tolist()
        return join_pieces([self.documents.piece(piece) for piece in pieces])


LAYOUTS = {"windows": WindowRows, "packed": PackedRows, "documents": DocumentRows}


def _check_index(index: int, length: int) -> None:
    if not 0 <= index < length:
        raise IndexError(f"row {index} of {length}")
