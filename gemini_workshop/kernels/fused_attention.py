"""Causal attention by PyTorch's fused kernels: the same results with far less memory traffic.

Fused kernels know masks and scales. What they do not know is brought into that form: a sink becomes one more key,
a slope a mask of numbers. Only a soft cap has no such form; it is computed written out.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.models.attention import PLAIN, AttentionRule, causal_attention, distances, visible_keys
from gemini_workshop.models.masks import additive_mask


def fused_causal_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K S C"],
    value: Float[Tensor, "B K S Cv"],
    rule: AttentionRule = PLAIN,
) -> Float[Tensor, "B H T Cv"]:
    """:func:`~gemini_workshop.models.attention.causal_attention` by ``scaled_dot_product_attention`` of PyTorch."""
    if rule.softcap is not None:
        return causal_attention(query, key, value, rule)
    T = query.shape[2]
    mask = _mask(query, key, rule)
    if rule.sinks is not None:
        key, value = F.pad(key, (0, 0, 0, 1)), F.pad(value, (0, 0, 0, 1))  # a key of zeros, whose value is zero
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        is_causal=bool(mask is None and T > 1),  # where lengths are symbols, their comparison is one too
        scale=rule.scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _mask(query: Tensor, key: Tensor, rule: AttentionRule) -> Tensor | None:
    """The mask that the kernel needs: none, if its own causal one or no mask at all will do."""
    (H, T), S = query.shape[1:3], key.shape[2]
    has_window = rule.window_tokens is not None and rule.window_tokens < S
    is_plain = rule.slopes is None and rule.sinks is None and rule.segment_ids is None and rule.image_ids is None
    if is_plain and not has_window and T in (1, S):
        return None
    mask = visible_keys(T, S, rule, query.device)
    if rule.slopes is None and rule.sinks is None:
        return mask
    scores = additive_mask(mask, query.dtype)
    if rule.slopes is not None:
        scores = scores - rule.slopes.to(query.dtype)[:, None, None] * distances(T, S, query.device)
    if rule.sinks is not None:
        sinks = rule.sinks.to(query.dtype)[:, None, None].expand(scores.shape[0], H, T, 1)
        scores = torch.cat([scores.expand(-1, H, -1, -1), sinks], dim=-1)
    return scores
