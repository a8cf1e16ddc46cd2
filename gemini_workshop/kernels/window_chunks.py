"""The pieces that attention through a sliding window is computed in: neighbouring queries and the keys they see.

A chunk of neighbouring queries sees one slice of the keys, a little longer than the window. No more than one chunk's
scores exist at any moment.

Source: Beltagy et al. 2020, arXiv:2004.05150, section 3.1.
Differs: scores and sums are in float32 at least.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.models.attention import AttentionRule, distances, visible_keys
from gemini_workshop.models.masks import additive_mask
from gemini_workshop.models.normalization import at_least_float32
from gemini_workshop.models.sliding_window import CHUNK_TOKENS, window_slices

CHUNK_SCORES = 2**19  # scores of a chunk on a CPU, unless one head has more, so that they stay near the core


class ChunkWeights(NamedTuple):
    """The attention weights of a chunk, and two things that their derivative needs.

    Attributes:
        bent: tanh of the scores over the soft cap, if the rule has one.
        left: which fraction of each row's weight the sinks leave to the keys, if the rule has sinks.
    """

    weights: Float[Tensor, "n rows S"]
    bent: Float[Tensor, "n rows S"] | None
    left: Float[Tensor, "n rows 1"] | None


class Chunk:
    """Neighbouring queries of some heads of one sequence, and the keys that at least one of them sees.

    G query heads read the same key/value head. Their scores are one matrix of G * T rows and S columns: T queries of
    the first head, T of the second, and so on. There is one such matrix for each of n key/value heads.

    "Heads" below are tensors of (n * G, T, anything), as the queries come; "rows" are (n, G * T, anything), as they are
    multiplied.

    Example, queries 2 and 3 of two heads, which see two keys each, so together keys 1 to 3:
        >>> chunk = Chunk(0, slice(0, 1), 2, slice(2, 4), slice(1, 4), AttentionRule(window_tokens=2))
        >>> query = torch.arange(8.0).view(1, 2, 4, 1)
        >>> chunk.rows(query).flatten()
        tensor([2., 3., 6., 7.])
        >>> chunk.bias(query)
        tensor([[[0., 0., -inf],
                 [-inf, 0., 0.],
                 [0., 0., -inf],
                 [-inf, 0., 0.]]])

    Attributes:
        queries: index of the chunk's queries in a tensor of shape (B, H, T, C).
        keys: index of its keys in a tensor of shape (B, K, S, C).
        query_heads: index of its heads in a tensor of one number per query head.
    """

    def __init__(self, sequence: int, heads: slice, G: int, tokens: slice, keys: slice, rule: AttentionRule) -> None:
        self.query_heads = slice(G * heads.start, G * heads.stop)
        self.queries, self.keys = (sequence, self.query_heads, tokens), (sequence, heads, keys)
        self.T, self.S, self.G = tokens.stop - tokens.start, keys.stop - keys.start, G
        self.rule = replace(
            rule,
            sinks=None if rule.sinks is None else rule.sinks[self.query_heads],
            slopes=None if rule.slopes is None else rule.slopes[self.query_heads],
            segment_ids=None if rule.segment_ids is None else rule.segment_ids[sequence, None, keys],
        )

    def rows(self, x: Float[Tensor, "B H T_all X"]) -> Float[Tensor, "n rows X"]:
        """This chunk's part of queries, or of what has their shape: from heads to rows."""
        return at_least_float32(x[self.queries]).unflatten(0, (-1, self.G)).flatten(1, 2)

    def heads(self, rows: Float[Tensor, "n rows X"]) -> Float[Tensor, "heads T X"]:
        """From rows to heads."""
        return rows.unflatten(1, (self.G, -1)).flatten(0, 1)

    def bias(self, like: Tensor) -> Float[Tensor, "#n rows S"]:
        """To add to the scores: minus infinity where a query may not attend, elsewhere minus slope times distance."""
        dtype = torch.promote_types(like.dtype, torch.float32)
        bias = additive_mask(visible_keys(self.T, self.S, self.rule, like.device)[0], dtype)
        if self.rule.slopes is not None:
            bias = bias - self.rule.slopes[:, None, None].to(dtype) * distances(self.T, self.S, like.device)
        # Slopes gave each query head its bias. Without them one serves all: G copies of it serve each key/value head.
        return bias.expand(max(len(bias), self.G), -1, -1).reshape(-1, self.G * self.T, self.S)

    def weights(self, query: Float[Tensor, "n rows C"], key: Float[Tensor, "n S C"], bias: Tensor) -> ChunkWeights:
        """The softmax of the scores; sinks take their part of it.

        A sink adds ``exp(sink)`` to the sum that a softmax divides by. So it leaves to the keys the fraction
        ``sum / (sum + exp(sink)) = sigmoid(log(sum) - sink)`` of what they had without it.
        """
        cap, bent, left = self.rule.softcap, None, None
        if cap is None:
            scores = torch.baddbmm(bias, query, key.mT)
        else:
            bent = torch.tanh(query @ key.mT / cap)
            scores = bias + cap * bent
        weights = torch.softmax(scores, dim=-1)
        if self.rule.sinks is not None:
            sinks = self.rule.sinks.to(scores.dtype).view(-1, self.G, 1).repeat_interleave(self.T, dim=1)
            left = torch.sigmoid(scores.logsumexp(dim=-1, keepdim=True) - sinks)
            weights.mul_(left)
        return ChunkWeights(weights, bent, left)


def chunks_of(query: Tensor, key: Tensor, rule: AttentionRule) -> Iterator[tuple[Chunk, Tensor]]:
    """All chunks, and the bias of each.

    A chunk's queries are the last of its keys. So without segments, the bias depends on the numbers of queries and keys
    and, by the slopes, on the heads: it is made again only where one of these changes. Chunks of the same heads come
    one after another, and between the ends of the text all are of one size.
    """
    (B, H, T, _), (K, S), window = query.shape, key.shape[1:3], rule.window_tokens
    assert window is not None
    chunk_tokens, chunk_heads = _size_of_chunks(T, K, H // K, window, query.device)
    made_for, bias = None, query.new_empty(0)
    slices = window_slices(T, S, window, chunk_tokens)
    for sequence, head, (tokens, keys) in itertools.product(range(B), range(0, K, chunk_heads), slices):
        heads = slice(head, min(head + chunk_heads, K))
        chunk = Chunk(sequence, heads, H // K, tokens, keys, rule)
        if rule.segment_ids is not None or made_for != (head, chunk.T, chunk.S):
            made_for, bias = (head, chunk.T, chunk.S), chunk.bias(query)
        yield chunk, bias


def _size_of_chunks(T: int, K: int, G: int, window: int, device: torch.device) -> tuple[int, int]:
    """How many tokens, and how many key/value heads, a chunk has."""
    if device.type != "cpu":  # a GPU prefers few large products
        return min(T, max(CHUNK_TOKENS, window)), K
    tokens = min(T, CHUNK_TOKENS)
    return tokens, max(1, CHUNK_SCORES // (G * tokens * (tokens + window)))
