"""Attention through a sliding window, for the price of the window: n tokens cost n * window, not n * n.

A chunk of neighbouring queries sees one slice of the keys, a little longer than the window. So the scores are computed
one such rectangle at a time; its two corners, which the window does not cover, are masked. No more than one rectangle
exists at any moment, in the backward pass too: it computes the shares again, and all chunks add to the same gradients.

    window of 3 tokens, chunks of 2 queries      keys 0 1 2 3 4 5 6 7
                                      queries 0 1    |# .|. . . . . .
                                                     |# #|. . . . . .
                                              2 3    |# # # .|. . . .
                                                     |. # # #|. . . .
                                              4 5     . .|# # # .|. .
                                                      . .|. # # #|. .
                                              6 7     . . . .|# # # .|
                                                      . . . .|. # # #|

Source: Beltagy et al. 2020, arXiv:2004.05150, section 3.1; recomputing the shares: Dao et al. 2022,
arXiv:2205.14135, section 3.1 and appendix B.2.
Differs: slices of the keys instead of a matrix of diagonals; scores and sums are in float32 at least.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.attention import AttentionRule, distances, visible_keys
from gemini_workshop.models.fused_attention import fused_causal_attention
from gemini_workshop.models.masks import additive_mask

CHUNK_TOKENS = 64  # queries of a chunk on a CPU; an accelerator gets longer ones, for fewer launches
CHUNK_SCORES = 2**19  # scores of a chunk on a CPU, unless one head has more, so that they stay near the core


def sliding_window_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K S C"],
    value: Float[Tensor, "B K S Cv"],
    rule: AttentionRule,
) -> Float[Tensor, "B H T Cv"]:
    """:func:`~gemini_workshop.models.attention.causal_attention` in time and memory proportional to the window.

    Raises:
        WorkshopError: the rule has no window.
    """
    if rule.window_tokens is None:
        raise WorkshopError(
            "window_tokens=None: a sliding window needs a length. "
            "Set window_tokens in the rule, or use fused_causal_attention, which sees everything."
        )
    T, S = query.shape[2], key.shape[2]
    window = min(rule.window_tokens, S)
    if T == 1 or (window == S and rule.softcap is None):  # the queries see all of the last keys: no window is left
        ids = None if rule.segment_ids is None else rule.segment_ids[:, -window:]
        rule = replace(rule, window_tokens=None, segment_ids=ids)
        return fused_causal_attention(query, key[:, :, -window:], value[:, :, -window:], rule)
    scale = query.shape[-1] ** -0.5 if rule.scale is None else rule.scale
    return torch.ops.gemini_workshop.window_attention(
        query, key, value, scale, rule.sinks, rule.slopes, rule.segment_ids, window, rule.softcap
    )


# --- One chunk ---


class _Chunk:
    """Neighbouring queries of some heads of one sequence, and the keys that at least one of them sees.

    Heads that read the same keys stand one below the other: n key/value heads, G * T rows (queries), S columns (keys).
    """

    def __init__(self, sequence: int, heads: slice, G: int, tokens: slice, keys: slice, rule: AttentionRule) -> None:
        query_heads = slice(G * heads.start, G * heads.stop)
        self.queries, self.keys = (sequence, query_heads, tokens), (sequence, heads, keys)
        self.T, self.S, self.G = tokens.stop - tokens.start, keys.stop - keys.start, G
        self.rule = replace(
            rule,
            sinks=None if rule.sinks is None else rule.sinks[query_heads],
            slopes=None if rule.slopes is None else rule.slopes[query_heads],
            segment_ids=None if rule.segment_ids is None else rule.segment_ids[sequence, None, keys],
        )

    def rows(self, x: Tensor) -> Tensor:
        """This chunk's part of queries, or of what has their shape: from heads to rows."""
        return _exact(x[self.queries]).unflatten(0, (-1, self.G)).flatten(1, 2)

    def heads(self, rows: Tensor) -> Tensor:
        """From rows to heads."""
        return rows.unflatten(1, (self.G, -1)).flatten(0, 1)

    def bias(self, like: Tensor) -> Float[Tensor, "#n rows S"]:
        """To add to the scores: minus infinity where a query may not attend, less by the slope for every token."""
        bias = additive_mask(visible_keys(self.T, self.S, self.rule, like.device)[0], _exact(like[:0]).dtype)
        if self.rule.slopes is not None:
            bias = bias - self.rule.slopes[:, None, None].to(bias.dtype) * distances(self.T, self.S, like.device)
        return bias.expand(max(len(bias), self.G), -1, -1).reshape(-1, self.G * self.T, self.S)

    def shares(self, query: Tensor, key: Tensor, bias: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The softmax of the scores; what a soft cap made of the scores, as a part of the cap; what sinks left."""
        cap, bent, left = self.rule.softcap, None, None
        if cap is None:
            scores = torch.baddbmm(bias, query, key.mT)
        else:
            bent = torch.tanh(query @ key.mT / cap)
            scores = bias + cap * bent
        shares = torch.softmax(scores, dim=-1)
        if self.rule.sinks is not None:
            sinks = self.rule.sinks.to(scores.dtype).view(-1, self.G, 1).repeat_interleave(self.T, dim=1)
            left = torch.sigmoid(scores.logsumexp(dim=-1, keepdim=True) - sinks)
            shares.mul_(left)
        return shares, bent, left


def _chunks(query: Tensor, key: Tensor, rule: AttentionRule) -> Iterator[tuple[_Chunk, Tensor]]:
    """All chunks, and the bias of each; without segments it is nearly always the same."""
    (B, H, T, _), (K, S), window = query.shape, key.shape[1:3], rule.window_tokens
    assert window is not None
    if query.device.type == "cpu":
        length = min(T, CHUNK_TOKENS)
        num_heads = max(1, CHUNK_SCORES // (H // K * length * (length + window)))
    else:
        length, num_heads = min(T, max(CHUNK_TOKENS, window)), K
    last, bias = None, query.new_empty(0)
    for sequence, head, start in itertools.product(range(B), range(0, K, num_heads), range(0, T, length)):
        heads, tokens = slice(head, min(head + num_heads, K)), slice(start, min(start + length, T))
        keys = slice(max(S - T + start - window + 1, 0), S - T + tokens.stop)
        chunk = _Chunk(sequence, heads, H // K, tokens, keys, rule)
        if rule.segment_ids is not None or (head, chunk.T, chunk.S) != last:
            last, bias = (head, chunk.T, chunk.S), chunk.bias(query)
        yield chunk, bias


def _exact(x: Tensor) -> Tensor:
    """In float32, unless it is more exact already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


# --- Forward and backward as operations of their own: torch.compile sees one node, not a loop ---

_RULE = "float scale, Tensor? sinks, Tensor? slopes, Tensor? segment_ids, int window, float? softcap"
_FORWARD, _BACKWARD = "gemini_workshop::window_attention", "gemini_workshop::window_attention_backward"
torch.library.define(_FORWARD, f"(Tensor query, Tensor key, Tensor value, {_RULE}) -> Tensor")
torch.library.define(_BACKWARD, f"(Tensor grad, Tensor query, Tensor key, Tensor value, {_RULE}) -> Tensor[]")


@torch.library.impl(_FORWARD, "default")
def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float, *rule: Any) -> Tensor:
    output = query.new_empty(*query.shape[:3], value.shape[-1])
    with torch.autocast(query.device.type, enabled=False):
        for chunk, bias in _chunks(query, key, _rule(*rule)):
            shares, _, _ = chunk.shares(chunk.rows(query) * scale, _exact(key[chunk.keys]), bias)
            output[chunk.queries] = chunk.heads(shares @ _exact(value[chunk.keys]))
    return output


@torch.library.impl(_BACKWARD, "default")
def _gradients(grad: Tensor, query: Tensor, key: Tensor, value: Tensor, scale: float, *flat_rule: Any) -> list[Tensor]:
    """Of query, key and value; then, if they are given, of sinks and slopes.

    shares = softmax(scores)      grad_scores = shares * (grad_shares - mean of grad_shares, weighted by shares)
    """
    rule = _rule(*flat_rule)
    grad_query = torch.empty_like(query)
    sums = [torch.zeros_like(_exact(x)) for x in (key, value, rule.sinks, rule.slopes) if x is not None]
    grad_key, grad_value, *grad_heads = sums
    with torch.autocast(query.device.type, enabled=False):
        for chunk, bias in _chunks(query, key, rule):
            q, g = chunk.rows(query) * scale, chunk.rows(grad)
            k, v = _exact(key[chunk.keys]), _exact(value[chunk.keys])
            shares, bent, left = chunk.shares(q, k, bias)
            grad_value[chunk.keys].baddbmm_(shares.mT, g)
            grad_scores = (g @ v.mT).mul_(shares)
            mean = grad_scores.sum(dim=-1, keepdim=True)
            grad_scores.addcmul_(shares, mean, value=-1)
            if left is not None:
                grad_heads[0][chunk.queries[1]] -= chunk.heads((1 - left) * mean).sum(dim=(1, 2))
            if rule.slopes is not None:
                distance = distances(chunk.T, chunk.S, query.device)
                grad_heads[-1][chunk.queries[1]] -= (chunk.heads(grad_scores) * distance).sum(dim=(1, 2))
            if bent is not None:
                grad_scores *= 1 - bent**2
            grad_query[chunk.queries] = chunk.heads(grad_scores @ k) * scale
            grad_key[chunk.keys].baddbmm_(grad_scores.mT, q)
    return [grad_query, *sums]


def _rule(
    sinks: Tensor | None, slopes: Tensor | None, segment_ids: Tensor | None, window: int, softcap: float | None
) -> AttentionRule:
    return AttentionRule(sinks=sinks, slopes=slopes, segment_ids=segment_ids, window_tokens=window, softcap=softcap)


@torch.library.register_fake(_FORWARD)
def _shape_of_output(query: Tensor, _key: Tensor, value: Tensor, *_rule: Any) -> Tensor:
    return query.new_empty(*query.shape[:3], value.shape[-1])


@torch.library.register_fake(_BACKWARD)
def _shapes_of_gradients(_grad: Tensor, query: Tensor, key: Tensor, value: Tensor, *_rule: Any) -> list[Tensor]:
    sums = [x for x in (key, value, *_rule[1:3]) if x is not None]
    return [torch.empty_like(query), *(torch.empty_like(_exact(x)) for x in sums)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    query, key, value, ctx.scale, sinks, slopes, segment_ids, ctx.window, ctx.softcap = inputs
    ctx.save_for_backward(query, key, value, sinks, slopes, segment_ids)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    query, key, value, *rule = ctx.saved_tensors
    gradients = torch.ops.gemini_workshop.window_attention_backward(
        grad, query, key, value, ctx.scale, *rule, ctx.window, ctx.softcap
    )
    given = iter(gradients[3:])
    of_heads = [None if x is None else next(given).to(x.dtype) for x in rule[:2]]
    of_tokens = [gradient.to(query.dtype) for gradient in gradients[:3]]
    return *of_tokens, None, *of_heads, None, None, None


torch.library.register_autograd(_FORWARD, _backward, setup_context=_save)
