"""Where batches come from: which rows a step reads is computed from its number and the seed, and from nothing else.

So a run that resumes at step 500 reads what it would have read without the break.

    tokens on disk or in memory  ->  rows (windows, packed, documents, or a layout of your own)  ->  batches
"""

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.data.batches.rows import Rows
from gemini_workshop.data.batches.stream import TokenStream
from gemini_workshop.errors import DataError

Layout = Callable[[TokenStream], Rows]


@runtime_checkable
class BatchSource(Protocol):
    """What training reads."""

    @property
    def sha256(self) -> str:
        """Of all that is read: runs with equal sums and settings read equal batches."""
        ...

    def batch(self, step: int) -> Batch:
        """The batch of a step, counting from 0; always the same one."""
        ...

    def validation(self, max_batches: int | None = None) -> Iterator[Batch]:
        """The text to measure on, in its order; each token is a target once.

        Args:
            max_batches: if there are more, this many, of rows spread evenly over the text.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class TokenSource:
    """Batches of the rows of a text.

    Args:
        train, validation_text: the tokens of the two splits.
        layout: how rows are cut from them, such as ``partial(WindowRows, context_tokens=64)``.
        batch_size: rows of one step, all processes together.
        seed: decides the order of the rows.

    Raises:
        DataError: when rows are first asked for, if a split is too short for one.
    """

    train: TokenStream
    validation_text: TokenStream
    layout: Layout
    batch_size: int
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.batch_size < 1:
            raise DataError(f"batch_size={self.batch_size} is not positive. Choose batch_size >= 1.")

    @property
    def sha256(self) -> str:
        """Of the tokens of both splits."""
        return hashlib.sha256((self.train.sha256 + self.validation_text.sha256).encode("ascii")).hexdigest()

    @functools.cached_property
    def train_rows(self) -> Rows:
        """The rows of one epoch."""
        return self.layout(self.train)

    @functools.cached_property
    def validation_rows(self) -> Rows:
        """The rows to measure on."""
        return self.layout(self.validation_text)

    def batch(self, step: int) -> Batch:
        """The batch of a step, counting from 0; always the same one."""
        return self.train_rows.batch(rows_of_step(step, len(self.train_rows), self.batch_size, self.seed).tolist())

    def validation(self, max_batches: int | None = None) -> Iterator[Batch]:
        """The text to measure on, in its order, or ``max_batches`` of rows spread evenly over it."""
        return self.validation_rows.in_order(self.batch_size, max_batches)


def rows_of_step(step: int, num_rows: int, batch_size: int, seed: int) -> Int[np.ndarray, " B"]:
    """Which rows a step reads. Each is read once before any is read again.

    A batch may hold the end of one epoch and the start of the next: of 5 rows in batches of 2, step 2 reads place 4
    of epoch 0 and place 0 of epoch 1. The order of an epoch takes eight bytes per row of memory, and two are kept.
    """
    read_so_far = step * batch_size  # rows, in all epochs
    epochs, places = np.divmod(np.arange(read_so_far, read_so_far + batch_size), num_rows)
    return np.concatenate(
        [epoch_order(num_rows, epoch, seed)[places[epochs == epoch]] for epoch in np.unique(epochs).tolist()]
    )


@functools.lru_cache(maxsize=2)
def epoch_order(num_rows: int, epoch: int, seed: int) -> Int[np.ndarray, " rows"]:
    """The order of the rows in one epoch: a permutation of its own for each epoch and seed."""
    return np.random.default_rng([seed % 2**64, epoch]).permutation(num_rows)
