"""Three ways to lay a corpus out in the rows of batches, as datasets of PyTorch: ``rows[i]`` is computed when asked.

windows     equal stretches of the stream; documents run on into one another, or are kept apart
packed      whole documents, several to a row; those longer than a row are cut
documents   one document a row, those longer than a row cut; a batch is padded to its longest
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from torch.utils.data import Dataset

from gemini_workshop.data.packing import IGNORE_INDEX, Row, best_fit, cut_into_pieces, join_pieces, segments_of
from gemini_workshop.data.shards import TokenShards
from gemini_workshop.errors import DataError, unknown_name

KINDS = ("windows", "packed", "documents")


class WindowRows(Dataset[Row]):
    """Windows over the stream, one every ``stride`` tokens; one more, nearer, ends with the last token if need be.

        stream        t0 t1 t2 t3 t4 t5 t6        context_tokens = 3, stride = 2
        window 0      t0 t1 t2                    targets t1 t2 t3
        window 1            t2 t3 t4              targets t3 t4 t5
        window 2               t3 t4 t5           targets t4 t5 t6

    Args:
        stride: from 1 to ``context_tokens``, which is the default.
        keeps_apart: number the documents in a window as segments, and predict no token of the next document.
            Otherwise a window is one segment.
        targets_once: each token is a target in the first window that holds it as one, and left out of the others. So
            evaluation counts each once, with up to ``context_tokens`` before it to look at.

    Raises:
        DataError: the stream is too short for one window, or the stride would leave tokens out.
    """

    def __init__(
        self,
        shards: TokenShards,
        context_tokens: int,
        stride: int | None = None,
        *,
        keeps_apart: bool = False,
        targets_once: bool = False,
    ) -> None:
        stride = context_tokens if stride is None else stride
        if not 1 <= stride <= context_tokens:
            raise DataError(
                f"stride={stride} is outside 1 to context_tokens={context_tokens}: a longer one leaves tokens out. "
                f"Choose for example stride={context_tokens}."
            )
        if shards.num_tokens < context_tokens + 1:
            raise DataError(
                f"{shards.num_tokens} tokens in {shards.folder} are too few for a window of "
                f"context_tokens={context_tokens}, which needs {context_tokens + 1}. "
                f"Use more text, or choose context_tokens <= {max(shards.num_tokens - 1, 1)}."
            )
        self.shards = shards
        self.context_tokens = context_tokens
        self.stride = stride
        self.keeps_apart = keeps_apart
        self.targets_once = targets_once
        self._last_start = shards.num_tokens - 1 - context_tokens

    def __len__(self) -> int:
        return -(-self._last_start // self.stride) + 1

    def __getitem__(self, index: int) -> Row:
        start = self._start(index)
        tokens = self.shards.tokens(start, start + self.context_tokens + 1)
        inputs, targets = tokens[:-1], tokens[1:].copy()
        segment_ids = np.ones_like(inputs)
        if self.keeps_apart:
            segment_ids = segments_of(inputs, self.shards.end_of_text_id)
            targets[inputs == self.shards.end_of_text_id] = IGNORE_INDEX
        if self.targets_once and index > 0:
            targets[: self._start(index - 1) + self.context_tokens - start] = IGNORE_INDEX
        return Row(inputs, targets, segment_ids)

    def _start(self, index: int) -> int:
        _check_index(index, len(self))
        return min(index * self.stride, self._last_start)


class DocumentRows(Dataset[Row]):
    """One document a row, or one piece of a document longer than ``context_tokens`` pairs.

    Sixteen bytes a piece are held in memory. A document without text has nothing to predict, and no row.
    """

    def __init__(self, shards: TokenShards, context_tokens: int) -> None:
        self.shards = shards
        self.context_tokens = context_tokens
        self.starts, self.lengths = cut_into_pieces(shards.document_ends(), context_tokens)
        if not len(self.starts):
            raise DataError(
                f"The {shards.num_documents} documents in {shards.folder} hold no text: nothing follows anything. "
                "Use documents of at least one token."
            )

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Row:
        _check_index(index, len(self))
        return join_pieces([self.piece(index)])

    def piece(self, index: int) -> Int[np.ndarray, " N"]:
        """The tokens of one piece, one more than it has pairs."""
        start = int(self.starts[index])
        return self.shards.tokens(start, start + int(self.lengths[index]) + 1)


class PackedRows(Dataset[Row]):
    """Several documents a row, each a segment of its own; what is left of the row is padding.

    Twenty-four bytes a document, and eight a row, are held in memory.
    """

    def __init__(self, shards: TokenShards, context_tokens: int) -> None:
        self.documents = DocumentRows(shards, context_tokens)
        self.context_tokens = context_tokens
        row_of = best_fit(self.documents.lengths, context_tokens)
        self._pieces = np.argsort(row_of, kind="stable")  # row by row
        self._row_ends = np.cumsum(np.bincount(row_of))

    def __len__(self) -> int:
        return len(self._row_ends)

    def __getitem__(self, index: int) -> Row:
        _check_index(index, len(self))
        start = self._row_ends[index - 1] if index else 0
        pieces = self._pieces[start : self._row_ends[index]].tolist()
        return join_pieces([self.documents.piece(piece) for piece in pieces])


Rows = WindowRows | DocumentRows | PackedRows


@dataclass(frozen=True, kw_only=True, slots=True)
class RowLayout:
    """Which of the three layouts, and its numbers.

    Args:
        kind: "windows", "packed" or "documents".
        context_tokens: the most tokens in a row.
        stride, keeps_apart: of windows, see :class:`WindowRows`.
    """

    kind: str = "windows"
    context_tokens: int
    stride: int | None = None
    keeps_apart: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.kind not in KINDS:
            raise DataError(unknown_name("layout", self.kind, KINDS))
        if self.context_tokens < 1:
            raise DataError(f"context_tokens={self.context_tokens} is not positive. Choose context_tokens >= 1.")

    def rows(self, shards: TokenShards, for_evaluation: bool = False) -> Rows:
        """The rows of a corpus.

        Args:
            for_evaluation: count each target once, even where windows overlap.
        """
        if self.kind == "packed":
            return PackedRows(shards, self.context_tokens)
        if self.kind == "documents":
            return DocumentRows(shards, self.context_tokens)
        return WindowRows(
            shards, self.context_tokens, self.stride, keeps_apart=self.keeps_apart, targets_once=for_evaluation
        )

    @property
    def row_tokens(self) -> int | None:
        """The length of every row of a batch; None if it is that of the batch's longest document."""
        return None if self.kind == "documents" else self.context_tokens


def _check_index(index: int, length: int) -> None:
    if not 0 <= index < length:
        raise IndexError(f"row {index} of {length}")
