"""Rows, and the batches made of them: the one type that every step of training and every measurement reads."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from gemini_workshop.errors import DataError

IGNORE_INDEX = -100  # as a target; cross_entropy leaves it out
PADDING_SEGMENT = 0


class Row(NamedTuple):
    """One row of a batch. ``segment_ids`` number its documents from 1; None if all of it is one segment."""

    inputs: Int[np.ndarray, " T"]
    targets: Int[np.ndarray, " T"]
    segment_ids: Int[np.ndarray, " T"] | None = None


class Batch(NamedTuple):
    """The rows of one step: ids, and for each the id to predict, or IGNORE_INDEX where nothing is to be predicted.

    A token looks only at earlier tokens of its own segment. Without ``segment_ids`` each row is one segment.
    """

    inputs: Int[Tensor, "B T"]
    targets: Int[Tensor, "B T"]
    segment_ids: Int[Tensor, "B T"] | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with every tensor that it has changed alike: moved to a device, or cut to some of its rows."""
        return Batch._make(None if tensor is None else change(tensor) for tensor in self)

    def split(self, count: int) -> list["Batch"]:
        """The batch in ``count`` parts of about equally many rows; parts without rows are left out."""
        parts = [[None] * count if tensor is None else tensor.tensor_split(count) for tensor in self]
        return [part for part in map(Batch._make, zip(*parts, strict=True)) if len(part.inputs)]


def pad_rows(rows: Sequence[Row], pad_id: int, length: int | None = None) -> Batch:
    """Make a batch of rows, those that are shorter filled up on the right.

    Args:
        pad_id: any id of the vocabulary; no token before it looks at it.
        length: of the batch's rows; that of the longest, if left out.

    Raises:
        DataError: a target is neither an id nor to be ignored. On a GPU the loss would fail without saying why.
    """
    length = max(len(row.inputs) for row in rows) if length is None else length

    def stacked(parts: Sequence[np.ndarray], fill: int) -> Tensor:
        whole = np.full((len(rows), length), fill, np.int64)
        for into, part in zip(whole, parts, strict=True):
            into[: len(part)] = part
        return torch.from_numpy(whole)

    targets = stacked([row.targets for row in rows], IGNORE_INDEX)
    if len(wrong := targets[(targets < 0) & (targets != IGNORE_INDEX)]):
        raise DataError(
            f"A target is {int(wrong[0])}, and token ids begin at 0. Mark targets to ignore with "
            f"IGNORE_INDEX, which is {IGNORE_INDEX}."
        )
    segments = [row.segment_ids for row in rows if row.segment_ids is not None]
    return Batch(
        stacked([row.inputs for row in rows], pad_id),
        targets,
        stacked(segments, PADDING_SEGMENT) if segments else None,
    )
