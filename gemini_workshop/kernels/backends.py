"""Who attends: four functions of one signature, equal in their results.

    manual   written out, as the lessons have it                   sdpa   PyTorch's fused kernels
    fast     sdpa; long texts through a window, and on CPUs what    flex   PyTorch's flex_attention
             needs gradients, by chunks

A model takes ``fast``; ``with model.attention_by(BACKENDS["manual"]): ...`` lets another one attend for a while.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.kernels.chunked_attention import chunked_causal_attention, suits_chunks
from gemini_workshop.kernels.flex_attention import flex_causal_attention
from gemini_workshop.kernels.fused_attention import fused_causal_attention
from gemini_workshop.kernels.packed_attention import packed_causal_attention, suits_packing
from gemini_workshop.kernels.windowed_attention import windowed_causal_attention
from gemini_workshop.models.attention import PLAIN, AttentionFunction, AttentionRule, causal_attention

SHORT_TOKENS = 512  # below, one masked kernel is as fast as the chunks of a window


def fast_causal_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K S C"],
    value: Float[Tensor, "B K S Cv"],
    rule: AttentionRule = PLAIN,
) -> Float[Tensor, "B H T Cv"]:
    """:func:`~gemini_workshop.models.attention.causal_attention` by the kernel that suits the lengths."""
    S = key.shape[2]
    needs_gradient = torch.is_grad_enabled() and query.requires_grad
    is_own = query.device.type == "cpu" and not torch.is_autocast_enabled("cpu")  # autocast would leave mixed dtypes
    if needs_gradient and is_own and suits_packing(query, key, rule):
        return packed_causal_attention(query, key, value, rule, fast_causal_attention)
    if needs_gradient and is_own and suits_chunks(query, key, rule, query.dtype):
        return chunked_causal_attention(query, key, value, rule)
    if rule.window_tokens is None or max(SHORT_TOKENS, 2 * rule.window_tokens) > S:
        return fused_causal_attention(query, key, value, rule)
    return windowed_causal_attention(query, key, value, rule)


BACKENDS: dict[str, AttentionFunction] = {
    "manual": causal_attention,
    "sdpa": fused_causal_attention,
    "fast": fast_causal_attention,
    "flex": flex_causal_attention,
}
