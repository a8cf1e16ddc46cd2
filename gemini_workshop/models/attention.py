"""Attention: compare a query with every key, turn the likenesses into shares, mix the values by their shares.

    weights = softmax(query . key / sqrt(C))        output = weights . value

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1, equation 1; grouped heads: Ainslie et al. 2023,
arXiv:2305.13245, section 2.2.
Differs: masks are boolean and True means "may attend".
"""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gemini_workshop.config import ModelConfig
from gemini_workshop.models.embeddings import apply_rotary
from gemini_workshop.models.masks import causal_mask
from gemini_workshop.models.normalization import RMSNorm


def softmax(scores: Float[Tensor, "..."], dim: int = -1) -> Float[Tensor, "..."]:
    """Turn scores into shares: each at least 0, together 1 along ``dim``, larger for larger scores.

    The largest score is subtracted first. That changes no share (the factor cancels) and keeps ``exp`` in
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
    """The share of its attention that each query gives to each key; every row sums to one.

    Attention shows its own shares if each key's value is a unit vector of its own.
    """
    unit_vectors = torch.eye(key.shape[-2], dtype=key.dtype, device=key.device)
    return scaled_dot_product_attention(query, key, unit_vectors, mask)


def grouped_query_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K S C"],
    value: Float[Tensor, "B K S C"],
    mask: Bool[Tensor, "T S"] | None = None,
) -> Float[Tensor, "B H T C"]:
    """Attention in which H / K neighbouring query heads share one key/value head."""
    grouped = rearrange(query, "b (k g) t c -> b k g t c", k=key.shape[1])
    mixed = scaled_dot_product_attention(grouped, key.unsqueeze(2), value.unsqueeze(2), mask)
    return rearrange(mixed, "b k g t c -> b (k g) t c")


def causal_attention(
    query: Float[Tensor, "B H T C"], key: Float[Tensor, "B K S C"], value: Float[Tensor, "B K S C"]
) -> Float[Tensor, "B H T C"]:
    """What a decoder layer does, written out: no query looks past its own position."""
    mask = causal_mask(query.shape[2], key.shape[2], device=query.device)
    return grouped_query_attention(query, key, value, mask)


def fused_causal_attention(
    query: Float[Tensor, "B H T C"], key: Float[Tensor, "B K S C"], value: Float[Tensor, "B K S C"]
) -> Float[Tensor, "B H T C"]:
    """:func:`causal_attention` by PyTorch's fused kernels: equal results, far less memory traffic."""
    T, S = query.shape[2], key.shape[2]
    mask = causal_mask(T, S, device=query.device) if 1 < T < S else None
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=1 < T == S, enable_gqa=query.shape[1] != key.shape[1]
    )


AttentionFunction = Callable[[Tensor, Tensor, Tensor], Tensor]


@runtime_checkable
class KeyValueStore(Protocol):
    """What a layer needs from its cache; :mod:`gemini_workshop.generation.cache` provides it."""

    def __len__(self) -> int:
        """Tokens stored so far."""
        ...

    def append(
        self, key: Float[Tensor, "B K T C"], value: Float[Tensor, "B K T C"]
    ) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S C"]]:
        """Store the new keys and values; return all of them, oldest first."""
        ...


class GroupedQueryAttention(nn.Module):
    """Causal self-attention with rotary positions, grouped heads and, if asked, normed queries and keys."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        D, C = config.embed_dim, config.head_dim
        self.head_dim = C
        self.query = nn.Linear(D, config.num_heads * C, bias=False)
        self.key = nn.Linear(D, config.num_kv_heads * C, bias=False)
        self.value = nn.Linear(D, config.num_kv_heads * C, bias=False)
        self.output = nn.Linear(config.num_heads * C, D, bias=False)
        self.query_norm = RMSNorm(C, config.norm_eps) if config.qk_norm else nn.Identity()
        self.key_norm = RMSNorm(C, config.norm_eps) if config.qk_norm else nn.Identity()
        self.attend: AttentionFunction = fused_causal_attention

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: tuple[Float[Tensor, "T pairs"], Float[Tensor, "T pairs"]],
        cache: KeyValueStore | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Let every token gather from itself and the tokens before it, cached ones included."""
        query = rearrange(self.query(x), "b t (h c) -> b h t c", c=self.head_dim)
        key = rearrange(self.key(x), "b t (k c) -> b k t c", c=self.head_dim)
        value = rearrange(self.value(x), "b t (k c) -> b k t c", c=self.head_dim)
        query = apply_rotary(self.query_norm(query), *rotation)
        key = apply_rotary(self.key_norm(key), *rotation)
        if cache is not None:
            key, value = cache.append(key, value)
        mixed = self.attend(query, key, value)
        return self.output(rearrange(mixed, "b h t c -> b t (h c)"))
