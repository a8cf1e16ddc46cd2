"""Attention in rows of several short documents, for gradients on a CPU: each document by itself.

A mask computes the scores of every pair of tokens of a row, and throws away those between documents. Here documents
of similar length are laid below each other, filled up on the right, and attended to as if each were a row:

    row 0   a a a b b b b c c c           a a a .        b b b b
    row 1   d d e e e f f f f f     ->    c c c .   and  f f f f f . . .  ...
                                          d d . .
                                          e e e .

What fills up comes last, so that no token sees it; and what it sees itself is not read.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from gemini_workshop.kernels.onednn import onednn_products
from gemini_workshop.models.attention import AttentionFunction, AttentionRule, visible_keys
from gemini_workshop.models.masks import additive_mask

SHORTEST_ROW = 64  # below, there is little to save
LENGTHS = 32  # documents are filled up to a multiple of this


def suits_packing(query: Tensor, key: Tensor, rule: AttentionRule) -> bool:
    """Whether :func:`packed_causal_attention` can compute this, and has less to compute than a mask.

    It computes plain attention of whole rows to themselves, also through a window and with images. The documents of a
    row must be numbered upwards; 0, for what fills up a row, may come last.
    """
    T, S = query.shape[2], key.shape[2]
    additions = (rule.softcap, rule.sinks, rule.slopes)
    if rule.segment_ids is None or T != S or T < SHORTEST_ROW or any(addition is not None for addition in additions):
        return False
    numbers = rule.segment_ids.where(rule.segment_ids > 0, rule.segment_ids.max() + 1)
    is_first = _is_first(rule.segment_ids)
    return bool((numbers.diff(dim=1) >= 0).all()) and 2 * int(is_first.sum()) >= 3 * len(is_first)


def packed_causal_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K T C"],
    value: Float[Tensor, "B K T Cv"],
    rule: AttentionRule,
    attend: AttentionFunction,
) -> Float[Tensor, "B H T Cv"]:
    """:func:`~gemini_workshop.models.attention.causal_attention` where :func:`suits_packing`.

    Args:
        attend: computes the attention of documents of similar length, if they have no images.
    """
    B, _, T, _ = query.shape
    assert rule.segment_ids is not None
    plan = _plan(rule.segment_ids)
    images = None if rule.image_ids is None else _filled(rule.image_ids.flatten(), plan)
    parts = [_Gather.apply(x.transpose(1, 2).flatten(0, 1), plan.order, plan.slot) for x in (query, key, value)]
    outputs = []
    for start, stop, length in plan.groups():
        q, k, v = (x[start:stop].unflatten(0, (-1, length)).transpose(1, 2) for x in parts)
        ids = None if images is None else images[start:stop].view(-1, length)
        inner = replace(
            rule,
            segment_ids=None,
            image_ids=ids if ids is not None and bool(ids.any()) else None,
            window_tokens=None if rule.window_tokens is None or rule.window_tokens >= length else rule.window_tokens,
        )
        mixed = attend(q, k, v, inner) if inner.image_ids is None else _attend_by_products(q, k, v, inner)
        outputs.append(mixed.transpose(1, 2).flatten(0, 1))
    return _Scatter.apply(torch.cat(outputs), plan.slot).unflatten(0, (B, T)).transpose(1, 2)


def _attend_by_products(query: Tensor, key: Tensor, value: Tensor, rule: AttentionRule) -> Tensor:
    """Plain matrix products and a mask; for short documents, faster than the fused kernel in bfloat16."""
    (n, H, L, C), K = query.shape, key.shape[1]
    scale = C**-0.5 if rule.scale is None else rule.scale
    bias = additive_mask(visible_keys(L, L, rule, query.device), query.dtype).unsqueeze(1)
    with onednn_products(query):
        rows = (query * scale).reshape(n * K, H // K * L, C)
        scores = (rows @ key.reshape(n * K, L, C).mT).view(n, K, H // K, L, L) + bias
        weights = torch.softmax(scores, dim=-1).view(n * K, H // K * L, L)
        return (weights @ value.reshape(n * K, L, -1)).view(n, H, L, -1)


class _Plan(NamedTuple):
    """Where the tokens of all rows, one after the other, stand when documents lie below each other.

    Attributes:
        order: for each place below each other, the token that stands there, or -1.
        slot: for each token, its place.
        lengths: to which the documents are filled up, ascending, and how many of each there are.
    """

    order: Int[Tensor, " M"]
    slot: Int[Tensor, " N"]
    lengths: list[tuple[int, int]]

    def groups(self) -> Iterator[tuple[int, int, int]]:
        """First place, last place plus one, and length of the documents of each length."""
        start = 0
        for length, count in self.lengths:
            yield start, start + length * count, length
            start += length * count


def _plan(segment_ids: Int[Tensor, "B T"]) -> _Plan:
    starts = _is_first(segment_ids).flatten().nonzero().squeeze(1)
    ends = torch.cat([starts[1:], starts.new_tensor([segment_ids.numel()])])
    filled = (ends - starts + LENGTHS - 1) // LENGTHS * LENGTHS
    filled, by_length = filled.sort(stable=True)
    firsts = filled.cumsum(0) - filled  # the place of each document's first token
    places = torch.empty_like(starts)
    places[by_length] = firsts
    document = torch.repeat_interleave(torch.arange(len(starts), device=starts.device), ends - starts)
    tokens = torch.arange(segment_ids.numel(), device=starts.device)
    slot = places[document] + tokens - starts[document]
    order = slot.new_full((int(filled.sum()),), -1)
    order[slot] = tokens
    lengths, counts = filled.unique_consecutive(return_counts=True)
    return _Plan(order, slot, list(zip(lengths.tolist(), counts.tolist(), strict=True)))


def _is_first(segment_ids: Int[Tensor, "B T"]) -> Tensor:
    is_first = torch.ones_like(segment_ids, dtype=torch.bool)
    is_first[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    return is_first


def _filled(x: Int[Tensor, " N"], plan: _Plan) -> Int[Tensor, " M"]:
    return x[plan.order.clamp(min=0)] * (plan.order >= 0)


class _Gather(torch.autograd.Function):
    """Tokens to their places; every token has one, so that its gradient is found there."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor, slot: Tensor) -> Tensor:
        ctx.save_for_backward(slot)
        return x[order.clamp(min=0)]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return grad[ctx.saved_tensors[0]], None, None


class _Scatter(torch.autograd.Function):
    """Tokens back from their places."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slot: Tensor) -> Tensor:
        ctx.save_for_backward(slot)
        ctx.num_places = len(x)
        return x[slot]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (slot,) = ctx.saved_tensors
        spread = grad.new_zeros(ctx.num_places, *grad.shape[1:])
        spread[slot] = grad
        return spread, None
