"""Packing: rows that hold several documents, or pieces of one, and keep them apart.

A document of n tokens has n - 1 pairs of a token and its successor; a row has room for T pairs. Each pair of each
document is in exactly one row, and no pair is made of two documents:

    documents      a b c |  d e |  f g h i         T = 7
    inputs         a b  d  f g h  .
    targets        b c  e  g h i  -100             -100: nothing to predict
    segment ids    1 1  2  3 3 3  0                0: padding

A token may look only at tokens of its own segment, and its position counts from the segment's first token.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from gemini_workshop.data.batches.batch import Row


def segments_of(inputs: Int[np.ndarray, " T"], end_of_text_id: int) -> Int[np.ndarray, " T"]:
    """Number the documents in a stretch of the stream, from 1; an end of text belongs to the document that it ends.

    Example:
        >>> segments_of(np.array([5, 6, 0, 7, 0, 8]), end_of_text_id=0)
        array([1, 1, 1, 2, 2, 3])
    """
    is_end = inputs == end_of_text_id
    return 1 + np.cumsum(is_end) - is_end


def cut_into_pieces(
    document_ends: Int[np.ndarray, " M"], context_tokens: int
) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Cut documents into pieces that fit into a row: where each begins in the stream, and how many pairs it has.

    A piece of n pairs reads n + 1 tokens; the last of them is the first of the document's next piece.

    Example:
        >>> cut_into_pieces(np.array([3, 4, 10]), context_tokens=4)  # documents of 3, 1 and 6 tokens
        (array([0, 4, 8]), array([2, 4, 1]))
    """
    # On the right, the values of the example. First, one per document:
    begins = np.concatenate([np.zeros(1, np.int64), document_ends[:-1]])  # 0 3 4
    pairs = document_ends - begins - 1  # 2 0 5
    counts = -(-pairs // context_tokens)  # 1 0 2 pieces, rounded up
    first_piece = np.cumsum(counts) - counts  # 0 1 1
    # From here on, one per piece, of documents 0, 2 and 2:
    place_in_document = np.arange(counts.sum()) - np.repeat(first_piece, counts)  # 0 0 1
    offsets = place_in_document * context_tokens  # 0 0 4
    return np.repeat(begins, counts) + offsets, np.minimum(np.repeat(pairs, counts) - offsets, context_tokens)


def best_fit(lengths: Int[np.ndarray, " P"], capacity: int) -> Int[np.ndarray, " P"]:
    """Put pieces into few rows, quickly: the longest first, each into the fullest row that has room.

    Returns:
        For each piece the number of its row.

    Source: Ding et al. 2024, arXiv:2404.10830, section 3 (best-fit packing).

    Example:
        >>> best_fit(np.array([5, 3, 4, 2]), capacity=7)  # 5 and 2, 4 and 3
        array([0, 1, 1, 0])
    """
    rows = np.empty(len(lengths), np.int64)
    rows_with: list[list[int]] = [[] for _ in range(capacity + 1)]  # by the room that is left in them
    rooms = 0  # bit r is set while some row has room for r
    num_rows = 0
    for piece in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[piece])
        if enough := rooms >> length:  # bit k is set while some row has room for length + k
            lowest_bit = enough & -enough
            room = length + lowest_bit.bit_length() - 1
            row = rows_with[room].pop()
            if not rows_with[room]:
                rooms ^= 1 << room
        else:
            room, row = capacity, num_rows
            num_rows += 1
        rows_with[room - length].append(row)
        rooms |= 1 << (room - length)
        rows[piece] = row
    return rows


def join_pieces(pieces: Sequence[Int[np.ndarray, " _"]]) -> Row:
    """One row of the tokens of several pieces, each a segment of its own."""
    return Row(
        inputs=np.concatenate([piece[:-1] for piece in pieces]),
        targets=np.concatenate([piece[1:] for piece in pieces]),
        segment_ids=np.repeat(np.arange(1, len(pieces) + 1), [len(piece) - 1 for piece in pieces]),
    )
