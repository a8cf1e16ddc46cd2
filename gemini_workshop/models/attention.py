"""Attention: compare a query with every key, turn the similarities into weights, mix the values by their weights.

    weights = softmax(query . key / sqrt(C))        output = weights . value

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1, equation 1; grouped heads: Ainslie et al. 2023,
arXiv:2305.13245, section 2.2.
Differs: masks are boolean and True means "may attend".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gemini_workshop.models.masks import causal_mask, multimodal_mask, segment_mask, sliding_window_mask


def softmax(scores: Float[Tensor, "..."], dim: int = -1) -> Float[Tensor, "..."]:
    """Turn scores into probabilities: each at least 0, together 1 along ``dim``, larger for larger scores.

    The largest score is subtracted first. That changes no probability (the factor cancels) and keeps ``exp`` in
    range.

    Example:
        >>> softmax(torch.tensor([1000.0, 1001.0]))
        tensor([0.2689, 0.7311])
    """
    exponentials = (scores - scores.amax(dim=dim, keepdim=True)).exp()
    return exponentials / exponentials.sum(dim=dim, keepdim=True)


def scaled_dot_product_attention(
    query: Float[Tensor, "*#B T C"],
    key: Float[Tensor, "*#B S C"],
    value: Float[Tensor, "*#B S Cv"],
    mask: Bool[Tensor, "*#B T S"] | None = None,
) -> Float[Tensor, "*#B T Cv"]:
    """Mix the values, weighting each by how well its key matches the query.

    Args:
        mask: True where query t may look at key s. Every row needs at least one True.

    Example:
        >>> query = torch.tensor([[0.7, 0.7]])
        >>> key, value = torch.eye(2), torch.tensor([[10.0], [20.0]])
        >>> scaled_dot_product_attention(query, key, value)
        tensor([[15.]])
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return softmax(scores) @ value


def attention_weights(
    query: Float[Tensor, "*#B T C"],
    key: Float[Tensor, "*#B S C"],
    mask: Bool[Tensor, "*#B T S"] | None = None,
) -> Float[Tensor, "*#B T S"]:
    """The weight that each query gives to each key; every row sums to one.

    Attention shows its own weights if each key's value is a unit vector of its own.
    """
    unit_vectors = torch.eye(key.shape[-2], dtype=key.dtype, device=key.device)
    return scaled_dot_product_attention(query, key, unit_vectors, mask)


def grouped_query_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K S C"],
    value: Float[Tensor, "B K S Cv"],
    mask: Bool[Tensor, "*#B T S"] | None = None,
) -> Float[Tensor, "B H T Cv"]:
    """Attention in which H / K neighbouring query heads share one key/value head."""
    if mask is not None and mask.ndim == 4:
        mask = mask.unsqueeze(2)  # one more axis, as the heads get below
    grouped = rearrange(query, "b (k g) t c -> b k g t c", k=key.shape[1])
    mixed = scaled_dot_product_attention(grouped, key.unsqueeze(2), value.unsqueeze(2), mask)
    return rearrange(mixed, "b k g t c -> b (k g) t c")


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionRule:
    """What a layer adds to plain causal attention. Nothing is on unless it is given.

    Args:
        scale: factor of the scores; 1 / sqrt(C) if left out.
        softcap: scores are bent towards this bound, ``cap * tanh(score / cap)`` (Gemma 2).
        window_tokens: keys that a query sees, its own included.
        sinks: one score per head, of a key that takes some of the attention and whose value is zero (gpt-oss).
        slopes: how much each head's scores fall per token of distance (ALiBi).
        segment_ids: tokens see only tokens of their own segment: documents packed into one row, or padding.
        image_ids: patches of one image see each other both ways; 0 for what is not an image.
    """

    scale: float | None = None
    softcap: float | None = None
    window_tokens: int | None = None
    sinks: Float[Tensor, " H"] | None = None
    slopes: Float[Tensor, " H"] | None = None
    segment_ids: Int[Tensor, "B S"] | None = None
    image_ids: Int[Tensor, "B S"] | None = None


PLAIN = AttentionRule()
AttentionFunction = Callable[[Tensor, Tensor, Tensor, AttentionRule], Tensor]


def causal_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K S C"],
    value: Float[Tensor, "B K S Cv"],
    rule: AttentionRule = PLAIN,
) -> Float[Tensor, "B H T Cv"]:
    """What a decoder layer does, written out: no query looks past its own position.

    The queries are the last T of the S tokens. A test compares every function of ``kernels/`` with this one.
    """
    if rule.softcap is None and rule.slopes is None and rule.sinks is None:
        visible = visible_keys(query.shape[2], key.shape[2], rule, query.device)
        if rule.scale is not None:
            query = query * (rule.scale * math.sqrt(query.shape[-1]))
        return grouped_query_attention(query, key, value, visible)
    weights = causal_attention_weights(query, key, rule)
    shared = rearrange(weights, "b (k g) t s -> b k g t s", k=key.shape[1])
    return rearrange(shared @ value.unsqueeze(2), "b k g t c -> b (k g) t c")


def causal_attention_weights(
    query: Float[Tensor, "B H T C"], key: Float[Tensor, "B K S C"], rule: AttentionRule = PLAIN
) -> Float[Tensor, "B H T S"]:
    """The weight that each query of a decoder layer gives to each key.

    Rows sum to one, or to less where a sink takes some of the weight.
    """
    T, S = query.shape[2], key.shape[2]
    scale = query.shape[-1] ** -0.5 if rule.scale is None else rule.scale
    grouped = rearrange(query, "b (k g) t c -> b k g t c", k=key.shape[1])
    scores = rearrange(grouped @ key.unsqueeze(2).transpose(-2, -1), "b k g t s -> b (k g) t s") * scale
    if rule.softcap is not None:
        scores = softcap(scores, rule.softcap)
    if rule.slopes is not None:
        scores = scores - rule.slopes.to(scores.dtype)[:, None, None] * distances(T, S, query.device)
    scores = scores.masked_fill(~visible_keys(T, S, rule, query.device), float("-inf"))
    if rule.sinks is None:
        return softmax(scores)
    sinks = rule.sinks.to(scores.dtype)[:, None, None].expand(*scores.shape[:3], 1)
    return softmax(torch.cat([scores, sinks], dim=-1))[..., :-1]


def softcap(x: Float[Tensor, "..."], cap: float) -> Float[Tensor, "..."]:
    """Bend numbers towards a bound: small ones pass unchanged, none gets beyond ``cap``."""
    return cap * torch.tanh(x / cap)


def distances(num_queries: int, num_keys: int, device: torch.device | None = None) -> Int[Tensor, "T S"]:
    """How many tokens each key lies before each query; negative for keys that come later."""
    keys = torch.arange(num_keys, device=device)
    return keys[num_keys - num_queries :, None] - keys


def visible_keys(
    num_queries: int, num_keys: int, rule: AttentionRule = PLAIN, device: torch.device | None = None
) -> Bool[Tensor, "#B 1 T S"]:
    """True where a query may attend: not ahead save in its own image, not beyond the window, not in another segment."""
    if rule.image_ids is not None:
        visible = multimodal_mask(rule.image_ids, num_queries)
        if rule.window_tokens is not None:
            visible = visible & (distances(num_queries, num_keys, device) < rule.window_tokens)
    elif rule.window_tokens is not None:
        visible = sliding_window_mask(num_queries, num_keys, rule.window_tokens, device=device)[None]
    else:
        visible = causal_mask(num_queries, num_keys, device=device)[None]
    if rule.segment_ids is not None:
        visible = visible & segment_mask(rule.segment_ids, num_queries)
    return visible.unsqueeze(1)
