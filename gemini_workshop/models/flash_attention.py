"""FlashAttention: exact attention that never writes the scores to slow memory.

A tile of queries stays in fast memory while tiles of keys and values pass by. The softmax is kept up to date on the
way: when a larger score turns up, what was summed before shrinks by ``exp(old largest - new largest)``.

                   numbers moved, in the order of     (T tokens, C channels, a fast memory of M numbers)
    written out    T * C + T**2                       the scores and the shares go out and come back
    by tiles       T**2 * C**2 / M                    keys and values pass by once for each tile of queries

Source: Dao et al. 2022, arXiv:2205.14135, algorithm 1 and theorem 2; the softmax that is kept up to date: Milakov and
Gimelshein 2018, arXiv:1805.02867, algorithm 3.
Differs: causal; the queries are the outer loop, as in Dao 2023, arXiv:2307.08691, so each output is written once.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.attention import softmax
from gemini_workshop.models.masks import causal_mask


@dataclass(slots=True)
class SlowMemory:
    """Counts the numbers that move between the large, slow memory of a GPU and the small, fast one beside its cores."""

    numbers_read: int = 0
    numbers_written: int = 0

    @property
    def traffic(self) -> int:
        """Numbers moved in both directions."""
        return self.numbers_read + self.numbers_written

    def read(self, x: Tensor) -> Tensor:
        """Bring numbers to the fast memory."""
        self.numbers_read += x.numel()
        return x

    def write(self, x: Tensor) -> Tensor:
        """Send numbers to the slow memory."""
        self.numbers_written += x.numel()
        return x


def plain_attention(
    query: Float[Tensor, "*B T C"],
    key: Float[Tensor, "*B S C"],
    value: Float[Tensor, "*B S C"],
    memory: SlowMemory,
) -> Float[Tensor, "*B T C"]:
    """Causal attention one operation after the other, each from slow memory to slow memory."""
    mask = causal_mask(query.shape[-2], key.shape[-2], device=query.device)
    scores = memory.read(query) @ memory.read(key).mT * query.shape[-1] ** -0.5
    scores = memory.write(scores.masked_fill(~mask, float("-inf")))
    shares = memory.write(softmax(memory.read(scores)))
    return memory.write(memory.read(shares) @ memory.read(value))


def flash_attention(
    query: Float[Tensor, "*B T C"],
    key: Float[Tensor, "*B S C"],
    value: Float[Tensor, "*B S C"],
    memory: SlowMemory,
    *,
    fast_numbers: int,
) -> Float[Tensor, "*B T C"]:
    """Causal attention tile by tile, the queries being the last T of the S tokens.

    Args:
        fast_numbers: what the fast memory holds, for each sequence and head.
    """
    (T, C), S = query.shape[-2:], key.shape[-2]
    num_queries, num_keys = tile_sizes(fast_numbers, C)
    mask = causal_mask(T, S, device=query.device)
    outputs = []
    for first in range(0, T, num_queries):
        queries = slice(first, min(first + num_queries, T))
        tile = memory.read(query[..., queries, :]) * C**-0.5
        running = Running.nothing(tile)
        for start in range(0, S - T + queries.stop, num_keys):  # the tiles of keys beyond are hidden: skip them
            keys = slice(start, start + num_keys)
            scores = tile @ memory.read(key[..., keys, :]).mT
            scores = scores.masked_fill(~mask[queries, keys], float("-inf"))
            running = running.plus(scores, memory.read(value[..., keys, :]))
        outputs.append(memory.write(running.mixed / running.total))
    return torch.cat(outputs, dim=-2)


class Running(NamedTuple):
    """A softmax over the scores seen so far, and the values that it mixes; not divided by its total yet."""

    largest: Float[Tensor, "*B T 1"]
    total: Float[Tensor, "*B T 1"]
    mixed: Float[Tensor, "*B T C"]

    @classmethod
    def nothing(cls, query: Float[Tensor, "*B T C"]) -> "Running":
        """Before the first score."""
        rows = query[..., :1]
        return cls(torch.full_like(rows, float("-inf")), torch.zeros_like(rows), torch.zeros_like(query))

    def plus(self, scores: Float[Tensor, "*B T S"], values: Float[Tensor, "*B S C"]) -> "Running":
        """With more scores. The first ones of all need one in every row that is not minus infinity."""
        largest = torch.maximum(self.largest, scores.amax(dim=-1, keepdim=True))
        shrink, shares = (self.largest - largest).exp(), (scores - largest).exp()
        return Running(
            largest=largest,
            total=self.total * shrink + shares.sum(dim=-1, keepdim=True),
            mixed=self.mixed * shrink + shares @ values,
        )


def tile_sizes(fast_numbers: int, C: int) -> tuple[int, int]:
    """How many queries and how many keys fit fast memory together.

    With r queries and at most as many keys, and no more than C: queries and outputs take 2rC, keys and values 2rC,
    the scores rC, the running softmax 2r.

    Raises:
        WorkshopError: not even one of each fits.
    """
    num_queries = fast_numbers // (5 * C + 2)
    if num_queries == 0:
        raise WorkshopError(
            f"a fast memory of fast_numbers={fast_numbers} cannot hold one query and one key of {C} channels. "
            f"It takes {5 * C + 2} numbers or more."
        )
    return num_queries, min(num_queries, C)
