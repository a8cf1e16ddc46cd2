"""The layers of mini-Gemini in their plainest form: what lesson 13 assembles from the parts of earlier lessons.

    sparse_parameters        how large a sparse local/global decoder is, and how much of it a token meets
    local_global_attention   heads, norms of queries and keys, positions, window, groups: one attention layer
    sparse_feed_forward      router, chosen experts, shared expert: one sparse feed-forward layer

The decoder of the course does the same in :mod:`.attention_layers` and :mod:`.moe`, with a cache, packed documents and
images.

Source: QK-norm: Henry et al. 2020, arXiv:2010.04245, section 2; local and global layers: Gemma Team 2024,
arXiv:2408.00118, section 2; shared experts: Dai et al. 2024, arXiv:2401.06066, section 3.2.
"""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.config import ModelConfig
from gemini_workshop.models.attention import grouped_query_attention
from gemini_workshop.models.embeddings import apply_rotary
from gemini_workshop.models.masks import causal_mask, sliding_window_mask
from gemini_workshop.models.multi_head_attention import merge_heads, split_heads
from gemini_workshop.models.normalization import unit_rms
from gemini_workshop.models.plain_moe import moe_forward, top_k_routing


def sparse_parameters(config: ModelConfig) -> tuple[int, int]:
    """Parameters of a text decoder with sandwich norms, QK-norm, gated feed-forwards, experts and a tied head.

    Returns:
        All of them, and those that one token meets: without the experts that it is not sent to.
    """
    D = config.embed_dim
    total, idle = config.vocab_size * D + D, 0  # the embedding, which is the head, and the last norm
    for layer in config.layers:
        query, key = config.num_heads * layer.head_dim, layer.num_kv_heads * layer.head_dim
        total += 2 * D * query + D * key * (1 if layer.values_are_keys else 2)
        total += 4 * D + 2 * layer.head_dim  # the norms of both sublayers, and of queries and keys
        if config.moe is not None and layer.has_experts:
            expert, moe = 3 * D * config.moe.expert_dim, config.moe
            total += (moe.num_experts + moe.shared_experts) * expert + moe.num_experts * D
            idle += (moe.num_experts - moe.experts_per_token) * expert
        else:
            total += 3 * D * layer.ffn_dim
    return total, total - idle


def local_global_attention(
    query: Float[Tensor, "B T HC"],
    key: Float[Tensor, "B T KC"],
    value: Float[Tensor, "B T KC"],
    num_heads: int,
    num_kv_heads: int,
    cos: Float[Tensor, "T pairs"],
    sin: Float[Tensor, "T pairs"],
    window_tokens: int | None = None,
) -> Float[Tensor, "B T HC"]:
    """One attention layer between its projections: heads, QK-norm, positions, mask, grouped attention, heads again.

    Args:
        cos: of the angles of each position; ``sin`` likewise.
        window_tokens: keys that a query of a local layer sees, its own included; None in a global layer.
    """
    q, k = split_heads(query, num_heads), split_heads(key, num_kv_heads)
    q, k = (apply_rotary(unit_rms(x, 1e-6), cos, sin) for x in (q, k))
    T = query.shape[1]
    if window_tokens is None:
        mask = causal_mask(T, T, device=query.device)
    else:
        mask = sliding_window_mask(T, T, window_tokens, device=query.device)
    return merge_heads(grouped_query_attention(q, k, split_heads(value, num_kv_heads), mask))


def sparse_feed_forward(
    x: Float[Tensor, "B T D"],
    router: Float[Tensor, "E D"],
    experts: Sequence[Callable[[Tensor], Tensor]],
    shared: Callable[[Tensor], Tensor],
    experts_per_token: int,
) -> Float[Tensor, "B T D"]:
    """What each token's chosen experts make of it, by the router's weights, and the shared expert of every token.

    Args:
        router: a row for each expert; its product with a token is the expert's score.
        experts: each turns rows of D numbers into as many.
        shared: the expert that no router chooses.
    """
    tokens = x.flatten(0, 1)
    chosen, weights = top_k_routing(F.linear(tokens, router), experts_per_token)
    return moe_forward(tokens, chosen, weights, experts).view(x.shape) + shared(x)
