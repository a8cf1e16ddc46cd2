"""Rows, and the batches made of them: the one type that every step of training and every measurement reads."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from gemini_workshop.errors import DataError
from gemini_workshop.models.multimodal.stream import Media

IGNORE_INDEX = -100  # as a target; cross_entropy leaves it out
PADDING_SEGMENT = 0


class Row(NamedTuple):
    """One row of a batch. ``segment_ids`` number its documents from 1; None if all of it is one segment.

    ``media`` is what stands in the places that the inputs hold for images and audio, as a batch of one row.
    """

    inputs: Int[np.ndarray, " T"]
    targets: Int[np.ndarray, " T"]
    segment_ids: Int[np.ndarray, " T"] | None = None
    media: Media | None = None


class Batch(NamedTuple):
    """The rows of one step: ids, and for each the id to predict, or IGNORE_INDEX where nothing is to be predicted.

    A token looks only at earlier tokens of its own segment. Without ``segment_ids`` each row is one segment.
    """

    inputs: Int[Tensor, "B T"]
    targets: Int[Tensor, "B T"]
    segment_ids: Int[Tensor, "B T"] | None = None
    media: Media | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with every tensor that it has changed alike: moved to a device, or cut to some of its rows."""
        media = None if self.media is None else self.media.map(change)
        texts = [None if tensor is None else change(tensor) for tensor in (self.inputs, self.targets, self.segment_ids)]
        return Batch._make([*texts, media])

    def split(self, count: int) -> list["Batch"]:
        """The batch in ``count`` parts of about equally many rows; parts without rows are left out."""
        rows = torch.arange(len(self.inputs)).tensor_split(count)
        return [self.map(itemgetter(slice(int(part[0]), int(part[-1]) + 1))) for part in rows if len(part)]


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
    media = [row.media for row in rows if row.media is not None]
    return Batch(
        stacked([row.inputs for row in rows], pad_id),
        targets,
        stacked(segments, PADDING_SEGMENT) if segments else None,
        stack_media(media) if media else None,
    )


def stack_media(media: Sequence[Media]) -> Media:
    """The media of several rows as those of one batch, the shorter ones filled up on the right with zeros."""
    return Media(*(torch.cat(_to_longest(tensors)) for tensors in zip(*media, strict=True)))


def _to_longest(tensors: Sequence[Tensor]) -> list[Tensor]:
    longest = max(tensor.shape[1] for tensor in tensors)
    return [F.pad(tensor, (0, 0, 0, longest - tensor.shape[1])) for tensor in tensors]
