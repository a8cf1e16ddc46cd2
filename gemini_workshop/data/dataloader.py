"""Rows to batches, in an order that the step and the seed decide; PyTorch's DataLoader fetches them ahead.

Which rows make up the batch of a step is computed from its number, so a loader that starts at step 500 goes on as one
that came by steps 0 to 499. Nothing random happens in the workers: their number does not show in the batches.
"""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from gemini_workshop.data.packing import Batch, Row, pad_rows
from gemini_workshop.data.shuffling import shuffled
from gemini_workshop.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class LoaderSettings:
    """How batches are made up and fetched.

    Args:
        batch_size: rows of one step, all processes together.
        seed: decides the order of the rows.
        num_workers: processes that prepare batches beside this one; 0 prepares them in this one.
        prefetch_batches: how many each worker keeps ready.
        pin_memory: put batches where a CUDA device can fetch them while it computes. Without one, nothing is pinned.
        rank: number of this process among the ``world_size`` that train together, each on its share of every batch.
    """

    batch_size: int = 16
    seed: int = 0
    num_workers: int = 0
    prefetch_batches: int = 2
    pin_memory: bool = False
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name, least in {"batch_size": 1, "num_workers": 0, "prefetch_batches": 1, "world_size": 1}.items():
            if (value := getattr(self, name)) < least:
                raise DataError(f"{name}={value} is too small. Choose {name} >= {least}.")
        if not 0 <= self.rank < self.world_size:
            raise DataError(
                f"rank={self.rank} is not among the {self.world_size} processes. Count from 0 to {self.world_size - 1}."
            )
        if self.batch_size % self.world_size:
            raise DataError(
                f"batch_size={self.batch_size} cannot be shared evenly among world_size={self.world_size} processes. "
                f"Choose a multiple of {self.world_size}."
            )


def rows_of_step(step: int, num_rows: int, settings: LoaderSettings) -> list[int]:
    """The numbers of the rows of one step, counting from 0, that fall to this process.

    Every row is used once before any is used again; a batch may hold the end of one epoch and the start of the next.
    The shares of all ranks, one after another, are the batch that a single process would see.
    """
    share = settings.batch_size // settings.world_size
    first = step * settings.batch_size + settings.rank * share
    epochs, places = np.divmod(np.arange(first, first + share), num_rows)
    orders = [shuffled(places[epochs == e], num_rows, settings.seed, e) for e in np.unique(epochs).tolist()]
    return np.concatenate(orders).tolist()


@dataclass(frozen=True, slots=True)
class ShuffledSteps:
    """The rows of each step from ``first_step`` on, without end: a batch sampler."""

    num_rows: int
    settings: LoaderSettings
    first_step: int = 0

    def __iter__(self) -> Iterator[list[int]]:
        step = self.first_step
        while True:
            yield rows_of_step(step, self.num_rows, self.settings)
            step += 1


@dataclass(frozen=True, slots=True)
class OrderedSteps:
    """All rows once, in their order; of these batches, each process takes every ``world_size``-th.

    The last batch may be smaller, and the last processes may get one batch less.
    """

    num_rows: int
    settings: LoaderSettings

    def __iter__(self) -> Iterator[list[int]]:
        size = self.settings.batch_size
        starts = range(0, self.num_rows, size)[self.settings.rank :: self.settings.world_size]
        return (list(range(start, min(start + size, self.num_rows))) for start in starts)


def make_loader(
    rows: Dataset[Row], steps: Iterable[list[int]], settings: LoaderSettings, pad_id: int, length: int | None = None
) -> DataLoader[Batch]:
    """A DataLoader of the batches that ``steps`` lists.

    Args:
        pad_id, length: see :func:`~gemini_workshop.data.packing.pad_rows`.
    """
    return DataLoader(
        rows,  # type: ignore[arg-type]
        batch_sampler=steps,
        collate_fn=functools.partial(pad_rows, pad_id=pad_id, length=length),
        num_workers=settings.num_workers,
        prefetch_factor=settings.prefetch_batches if settings.num_workers else None,
        pin_memory=settings.pin_memory and torch.cuda.is_available(),
    )
