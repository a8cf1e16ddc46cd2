"""Documents to batches: split them, join their ids to one stream, cut windows, draw batches.

    stream:   t0 t1 t2 t3 t4 t5 t6 t7 ...
    inputs:   t0 t1 t2 t3               one window of context_tokens = 4
    targets:     t1 t2 t3 t4            the same, one token later

Every token but the first is the target of some window. Which windows make up a batch depends on the step and the seed
alone, so a run that resumes at step 500 sees what it would have seen without the break.
"""

import functools
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from gemini_workshop.data.preprocessing.splitting import hash_fraction
from gemini_workshop.data.tokenizer import Tokenizer, check_documents
from gemini_workshop.errors import DataError


def split_documents(documents: Iterable[str], validation_fraction: float) -> tuple[list[str], list[str]]:
    """Part training from validation by a hash of each document's text.

    A document's side depends on its own text alone: it does not move when others are added, and two copies of a
    document never stand on both sides. The share of the validation documents is therefore only near the one asked for.

    Args:
        validation_fraction: share of the documents kept for validation, between 0 and 1.

    Raises:
        DataError: the fraction is out of range, or one side would be empty.
    """
    train: list[str] = []
    validation: list[str] = []
    for document in check_documents(documents):
        (validation if is_for_validation(document, validation_fraction) else train).append(document)
    if not train or not validation:
        raise DataError(
            f"{len(train)} documents for training and {len(validation)} for validation came out of "
            f"validation_fraction={validation_fraction}. Both need at least one. "
            "Use more documents, or a fraction nearer to one half."
        )
    return train, validation


def is_for_validation(document: str, validation_fraction: float) -> bool:
    """Which side of the split a document is on; its text alone decides.

    Raises:
        DataError: the fraction is out of range.
    """
    if not 0 < validation_fraction < 1:
        raise DataError(f"validation_fraction={validation_fraction} is outside (0, 1). Choose for example 0.05.")
    return hash_fraction(document) < validation_fraction


def encode_documents(documents: Iterable[str], tokenizer: Tokenizer) -> Int[Tensor, " N"]:
    """All documents as one stream of int32 ids, an end of text after each."""
    pieces = [
        np.array([*tokenizer.encode(document), tokenizer.end_of_text_id], dtype=np.int32)
        for document in check_documents(documents)
    ]
    if not pieces:
        raise DataError("There are no documents to encode. Give at least one.")
    return torch.from_numpy(np.concatenate(pieces))


@functools.lru_cache(maxsize=2)
def epoch_order(num_windows: int, epoch: int, seed: int) -> Int[Tensor, " W"]:
    """The order of the windows in one epoch: a permutation of its own for each epoch and seed."""
    rng = np.random.default_rng([seed % 2**64, epoch])
    return torch.from_numpy(rng.permutation(num_windows))


class TokenWindows:
    """A stream of ids as windows of ``context_tokens`` inputs with their targets.

    Windows lie end to end; where the stream does not divide evenly, one more ends with the last token and overlaps
    the window before it. A window may span documents: the end-of-text ids in it tell.

    Args:
        vocab_size: if given, ids are checked against it.

    Raises:
        DataError: the stream is shorter than one window and its last target, or holds an id outside the vocabulary.
    """

    def __init__(self, token_ids: Int[Tensor, " N"], context_tokens: int, vocab_size: int | None = None) -> None:
        num_tokens = len(token_ids)
        if context_tokens < 1:
            raise DataError(f"context_tokens={context_tokens} is not positive. Choose context_tokens >= 1.")
        if num_tokens < context_tokens + 1:
            raise DataError(
                f"{num_tokens} tokens are too few for a window of context_tokens={context_tokens}, which needs "
                f"{context_tokens + 1}. Use more text, or choose context_tokens <= {max(num_tokens - 1, 1)}."
            )
        if vocab_size is not None:
            _check_range(token_ids, vocab_size)
        self.token_ids = token_ids
        self.context_tokens = context_tokens
        starts = torch.arange(0, num_tokens - context_tokens, context_tokens)
        last_start = num_tokens - 1 - context_tokens
        self.starts = starts if starts[-1] == last_start else torch.cat([starts, torch.tensor([last_start])])

    def __len__(self) -> int:
        """Windows in one epoch."""
        return len(self.starts)

    def batch(self, step: int, batch_size: int, seed: int) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
        """The inputs and targets of one step, decided by the arguments alone.

        Steps count from 0. Consecutive steps walk through the windows in an order shuffled for each epoch; every
        window is used once before any is used again, and a batch may hold the end of one epoch and the start of the
        next.
        """
        first = step * batch_size
        chosen = []
        for place in range(first, first + batch_size):
            epoch, index = divmod(place, len(self))
            chosen.append(self.starts[epoch_order(len(self), epoch, seed)[index]])
        return self._cut(torch.stack(chosen), self.context_tokens)

    def sequential_batches(
        self, batch_size: int, max_batches: int | None = None
    ) -> Iterator[tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]]:
        """The whole stream in its order, for evaluation: every token but the first is a target exactly once.

        The last batch may hold fewer windows, and what is left then follows as one window shorter than the others.

        Args:
            max_batches: if the stream has more, only so many, of windows spread evenly over it.
        """
        num_targets = len(self.token_ids) - 1
        starts = torch.arange(0, num_targets - self.context_tokens + 1, self.context_tokens)
        if max_batches is not None and len(starts) > max_batches * batch_size:
            spread = torch.linspace(0, len(starts) - 1, max_batches * batch_size, dtype=torch.float64)
            yield from (self._cut(some, self.context_tokens) for some in starts[spread.long()].split(batch_size))
            return
        for some in starts.split(batch_size):
            yield self._cut(some, self.context_tokens)
        if rest := num_targets % self.context_tokens:
            yield self._cut(torch.tensor([num_targets - rest]), rest)

    def _cut(self, starts: Int[Tensor, " B"], length: int) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
        windows = self.token_ids[starts[:, None] + torch.arange(length + 1)].long()
        return windows[:, :-1], windows[:, 1:]


def _check_range(token_ids: Int[Tensor, " N"], vocab_size: int) -> None:
    outside = ((token_ids < 0) | (token_ids >= vocab_size)).nonzero()
    if len(outside):
        place = int(outside[0])
        raise DataError(
            f"token id {int(token_ids[place])} at position {place} is outside the vocabulary of {vocab_size}. "
            "Was the text encoded with another tokenizer?"
        )
