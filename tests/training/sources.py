"""Batches for the tests of this folder."""

from functools import partial

import torch

from gemini_workshop.data.batches.rows import WindowRows
from gemini_workshop.data.batches.source import TokenSource
from gemini_workshop.data.batches.stream import TokenArray

IDS = torch.randint(0, 13, (200,), generator=torch.Generator().manual_seed(5), dtype=torch.int32)


def windows(ids: torch.Tensor = IDS, batch_size: int = 3, seed: int = 0) -> TokenSource:
    """Windows of seven of the ids, to train and to measure on."""
    stream = TokenArray(ids, 13)
    layout = partial(WindowRows, context_tokens=7)
    return TokenSource(train=stream, validation_text=stream, layout=layout, batch_size=batch_size, seed=seed)
