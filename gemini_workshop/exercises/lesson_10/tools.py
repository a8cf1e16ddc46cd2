"""Lesson 10, tokenization: what its exercises share."""

from collections.abc import Sequence

import torch

from gemini_workshop.data.tokenizers.bpe import Pair

LETTERS = b"abc "


def letters(generator: torch.Generator, length: int) -> list[int]:
    """A text of few letters, in which many pairs come again, as its bytes."""
    return [LETTERS[i] for i in torch.randint(len(LETTERS), (length,), generator=generator).tolist()]


def merge_all(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    """Each occurrence of a pair, from left to right, replaced."""
    merged: list[int] = []
    rest = list(ids)
    while rest:
        if tuple(rest[:2]) == pair:
            merged.append(new_id)
            rest = rest[2:]
        else:
            merged.append(rest.pop(0))
    return merged
