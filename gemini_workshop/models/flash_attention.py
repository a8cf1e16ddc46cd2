"""FlashAttention: exact attention that never writes the scores to slow memory.

A tile of queries stays in fast memory while tiles of keys and values pass by. The softmax is updated with each tile
("online softmax"): when a larger score appears, the earlier sums shrink by ``exp(old largest - new largest)``.

                   numbers moved, in the order of     (T tokens, C channels, a fast memory of M numbers)
    written out    T * C + T**2                       the scores and the weights go out and come back
    by tiles       T**2 * C**2 / M                    keys and values pass by once for each tile of queries

Source: Dao et al. 2022, arXiv:2205.14135, algorithm 1 and theorem 2; the online softmax: Milakov and
Gimelshein 2018, arXiv:1805.02867, algorithm 3.
Differs: causal; the queries are the outer loop, as in Dao 2023, arXiv:2307.08691, so each output is written once.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.errors import WorkshopError


def online_softmax(
    largest: Float[Tensor, "*B T 1"],
    total: Float[Tensor, "*B T 1"],
    mixed: Float[Tensor, "*B T Cv"],
    scores: Float[Tensor, "*B T S"],
    value: Float[Tensor, "*B S Cv"],
) -> tuple[Float[Tensor, "*B T 1"], Float[Tensor, "*B T 1"], Float[Tensor, "*B T Cv"]]:
    """Take more scores into a softmax that is not finished; ``mixed / total`` is attention over all keys so far.

    Args:
        largest: the largest score so far of each query; before the first key, minus infinity.
        total: the sum of ``exp(score - largest)`` over the keys so far.
        mixed: the same sum with each term times the key's value.
        scores: the scores of further keys, minus infinity where one is hidden. The first ones of all need one in every
            row that is not.
        value: the values of these keys.

    Returns:
        The three of them, now with these keys.
    """
    new_largest = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
    shrink, weights = (largest - new_largest).exp(), (scores - new_largest).exp()
    total = total * shrink + weights.sum(dim=-1, keepdim=True)
    mixed = mixed * shrink + weights @ value
    return new_largest, total, mixed


def flash_attention(
    query: Float[Tensor, "*B T C"],
    key: Float[Tensor, "*B S C"],
    value: Float[Tensor, "*B S Cv"],
    tile_tokens: int,
) -> Float[Tensor, "*B T Cv"]:
    """Causal attention tile by tile; no tensor has a number for every query and key.

    Args:
        query: the last T of the S tokens.
        tile_tokens: how many queries, and how many keys, are in fast memory at once; the last tiles may have fewer.
    """
    (T, C), (S, Cv) = query.shape[-2:], value.shape[-2:]
    outputs = []
    for first in range(0, T, tile_tokens):
        tile = query[..., first : first + tile_tokens, :] * C**-0.5
        largest = torch.full_like(tile[..., :1], float("-inf"))
        total = torch.zeros_like(largest)
        mixed = torch.zeros_like(largest).expand(*tile.shape[:-1], Cv)
        positions = torch.arange(S - T + first, S - T + first + tile.shape[-2], device=query.device)[:, None]
        for start in range(0, S - T + first + tile.shape[-2], tile_tokens):  # the tiles of keys beyond are hidden
            keys = slice(start, start + tile_tokens)
            scores = tile @ key[..., keys, :].mT
            future = torch.arange(start, start + scores.shape[-1], device=query.device) > positions
            scores = scores.masked_fill(future, float("-inf"))
            largest, total, mixed = online_softmax(largest, total, mixed, scores, value[..., keys, :])
        outputs.append(mixed / total)
    return torch.cat(outputs, dim=-2)


def largest_tile(fast_numbers: int, channels: int) -> int:
    """How many queries and as many keys fit a fast memory of so many numbers together.

    With r of each, and r no more than the C channels: queries and outputs take 2rC numbers, keys and values 2rC, the
    scores rC, the running softmax 2r.

    Raises:
        WorkshopError: not even one of each fits.
    """
    tile_tokens = min(fast_numbers // (5 * channels + 2), channels)
    if tile_tokens == 0:
        raise WorkshopError(
            f"a fast memory of fast_numbers={fast_numbers} cannot hold one query and one key of {channels} channels. "
            f"It takes {5 * channels + 2} numbers or more."
        )
    return tile_tokens
