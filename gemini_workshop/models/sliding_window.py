"""Attention through a sliding window, for the price of the window: n tokens cost n * window, not n * n.

A chunk of neighbouring queries sees one slice of the keys, a little longer than the window. So the scores are computed
one such rectangle at a time; its two corners, which the window does not cover, are masked.

    window of 3 tokens, chunks of 2 queries      keys 0 1 2 3 4 5 6 7
                                      queries 0 1    |# .|. . . . . .
                                                     |# #|. . . . . .
                                              2 3    |# # # .|. . . .
                                                     |. # # #|. . . .
                                              4 5     . .|# # # .|. .
                                                      . .|. # # #|. .
                                              6 7     . . . .|# # # .|
                                                      . . . .|. # # #|

Source: Beltagy et al. 2020, arXiv:2004.05150, section 3.1.
Differs: slices of the keys instead of a matrix of diagonals.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.models.attention import scaled_dot_product_attention
from gemini_workshop.models.masks import sliding_window_mask

CHUNK_TOKENS = 64  # queries of a chunk: few enough for little waste in the corners, enough for large products


def sliding_window_attention(
    query: Float[Tensor, "*B T C"],
    key: Float[Tensor, "*B S C"],
    value: Float[Tensor, "*B S Cv"],
    window_tokens: int,
    chunk_tokens: int,
) -> Float[Tensor, "*B T Cv"]:
    """Attention under a sliding window mask, in chunks of queries, each with its slice of keys.

    Args:
        query: the last T of the S tokens.
        window_tokens: keys that a query sees, its own included.
        chunk_tokens: queries of a chunk; the last chunk may have fewer.
    """
    outputs = []
    for queries, keys in window_slices(query.shape[-2], key.shape[-2], window_tokens, chunk_tokens):
        mask = sliding_window_mask(
            queries.stop - queries.start, keys.stop - keys.start, window_tokens, device=query.device
        )
        asking, seen, mixed = query[..., queries, :], key[..., keys, :], value[..., keys, :]
        outputs.append(scaled_dot_product_attention(asking, seen, mixed, mask))
    return torch.cat(outputs, dim=-2)


def window_slices(
    num_queries: int, num_keys: int, window_tokens: int | None, chunk_tokens: int
) -> list[tuple[slice, slice]]:
    """Chunks of neighbouring queries, and the keys that at least one query of the chunk sees.

    Args:
        window_tokens: None if each query sees all keys up to its own.

    Example:
        >>> window_slices(4, 5, window_tokens=2, chunk_tokens=3)
        [(slice(0, 3, None), slice(0, 4, None)), (slice(3, 4, None), slice(3, 5, None))]
    """
    earlier, slices = num_keys - num_queries, []
    for start in range(0, num_queries, chunk_tokens):
        stop = min(start + chunk_tokens, num_queries)
        first = 0 if window_tokens is None else max(0, earlier + start - window_tokens + 1)
        slices.append((slice(start, stop), slice(first, earlier + stop)))
    return slices
