"""Causal attention by plain matrix products, for gradients on a CPU.

A chunk of queries sees the keys up to its own last one, so nearly half of the scores are never computed. Each chunk is
one product for all sequences and heads, and its weights are kept for the backward pass.

    chunks of 2 queries      keys 0 1 2 3 4 5
                  queries 0 1    |# .|
                                 |# #|            Only the last square of a chunk needs a mask.
                          2 3    |# # # .|
                                 |# # # #|
                          4 5    |# # # # # .|
                                 |# # # # # #|

Through a window, a chunk sees the keys from the first in the window of its first query.

PyTorch's fused kernel multiplies far smaller tiles and computes the weights again: less memory, but more time, in
bfloat16 most of all (``gemini-workshop benchmark attention``).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from gemini_workshop.kernels.onednn import onednn_products
from gemini_workshop.models.attention import PLAIN, AttentionRule
from gemini_workshop.models.sliding_window import CHUNK_TOKENS, window_slices

LONGEST_TOKENS = 1024  # beyond, the weights take too much memory


def suits_chunks(query: Tensor, key: Tensor, rule: AttentionRule, dtype: torch.dtype) -> bool:
    """Whether :func:`chunked_causal_attention` can compute this, and is faster in ``dtype``.

    It computes plain attention of a whole text to itself, also through a window. A single chunk is no faster than the
    fused kernel in float32.
    """
    T, S = query.shape[2], key.shape[2]
    additions = (rule.softcap, rule.sinks, rule.slopes, rule.segment_ids, rule.image_ids)
    has_no_additions = all(addition is None for addition in additions)
    shortest = CHUNK_TOKENS + 1 if dtype == torch.float32 else 2
    return has_no_additions and shortest <= T == S <= LONGEST_TOKENS


def chunked_causal_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K T C"],
    value: Float[Tensor, "B K T Cv"],
    rule: AttentionRule = PLAIN,
) -> Float[Tensor, "B H T Cv"]:
    """:func:`~gemini_workshop.models.attention.causal_attention` where :func:`suits_chunks`, in the inputs' dtype."""
    scale = query.shape[-1] ** -0.5 if rule.scale is None else rule.scale
    window = query.shape[2] if rule.window_tokens is None else rule.window_tokens
    return _ChunkedAttention.apply(query, key, value, scale, window)


class _Heads:
    """Queries, or what has their shape, with all heads that read the same keys below each other in a chunk."""

    def __init__(self, x: Float[Tensor, "B H T C"], num_kv_heads: int) -> None:
        B, H, T, C = x.shape
        self.grouped = x.reshape(B * num_kv_heads, H // num_kv_heads, T, C)

    def rows(self, start: int, stop: int) -> Float[Tensor, "n rows C"]:
        """One chunk's."""
        return self.grouped[:, :, start:stop].flatten(1, 2)

    def write(self, rows: Float[Tensor, "n rows C"], start: int, stop: int) -> None:
        """Put one chunk's into its place."""
        self.grouped[:, :, start:stop] = rows.unflatten(1, (-1, stop - start))


class _ChunkedAttention(torch.autograd.Function):
    """The computation and its derivative; autograd itself would fill and add a gradient of all keys for each chunk."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float, window: int) -> Tensor:
        K, keys, values = key.shape[1], key.flatten(0, 1), value.flatten(0, 1)
        output = _Heads(query.new_empty(*query.shape[:3], value.shape[-1]), K)
        queries = _Heads(query * scale, K)
        future = query.new_full((CHUNK_TOKENS, CHUNK_TOKENS), float("-inf")).triu_(1)
        all_weights = []
        with onednn_products(query):
            for first, start, stop in _chunks(query.shape[2], window):
                scores = queries.rows(start, stop) @ keys[:, first:stop].mT
                n, of_heads = stop - start, scores.unflatten(1, (-1, stop - start))
                of_heads[..., start - first :].add_(future[:n, :n])
                if stop - window > first:  # query i sees no key j <= i - window, and some of these keys are here
                    past = query.new_full((n, stop - window - first), float("-inf")).tril_(start - window - first)
                    of_heads[..., : past.shape[1]].add_(past)
                weights = torch.softmax(scores, dim=-1)
                output.write(weights @ values[:, first:stop], start, stop)
                all_weights.append(weights)
        ctx.save_for_backward(queries.grouped, keys, values, *all_weights)
        ctx.scale, ctx.window = scale, window
        return output.grouped.view(*query.shape[:3], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The last chunk comes first: without a window it sees all keys, and the others add to its gradients."""
        grouped, keys, values, *all_weights = ctx.saved_tensors
        (B, H, T, _), K = grad.shape, len(keys) // len(grad)
        queries, grads = _Heads(grouped.view(B, H, T, -1), K), _Heads(grad, K)
        grad_query = _Heads(torch.empty_like(grouped).view(B, H, T, -1), K)
        allocate = torch.empty_like if ctx.window >= T else torch.zeros_like
        grad_keys, grad_values = allocate(keys), allocate(values)
        with onednn_products(grad):
            for (first, start, stop), weights in reversed(list(zip(_chunks(T, ctx.window), all_weights, strict=True))):
                g, q, seen = grads.rows(start, stop), queries.rows(start, stop), slice(first, stop)
                grad_scores = torch.ops.aten._softmax_backward_data(g @ values[:, seen].mT, weights, -1, weights.dtype)
                if stop - first == T:
                    torch.bmm(weights.mT, g, out=grad_values)
                    torch.bmm(grad_scores.mT, q, out=grad_keys)
                else:
                    grad_values[:, seen] += weights.mT @ g
                    grad_keys[:, seen] += grad_scores.mT @ q
                grad_query.write(grad_scores @ keys[:, seen], start, stop)
        grad_query = grad_query.grouped.view(B, H, T, -1) * ctx.scale
        return grad_query, grad_keys.unflatten(0, (B, K)), grad_values.unflatten(0, (B, K)), None, None


def _chunks(T: int, window: int) -> list[tuple[int, int, int]]:
    """Of each chunk the first key it sees, its first query, and where queries and keys end."""
    return [(keys.start, queries.start, queries.stop) for queries, keys in window_slices(T, T, window, CHUNK_TOKENS)]
