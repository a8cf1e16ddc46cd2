"""The attention layers of the decoder: they own the weights, and let a function attend.

    GroupedQueryAttention   several query heads share a key/value head (multi-head and multi-query are its ends)
    LatentAttention         all heads unpack their keys and values from one small vector a token
    CrossAttention          text looks at something else, such as the patches of an image

Source: grouped: Ainslie et al. 2023, arXiv:2305.13245, section 2.2; latent: DeepSeek-AI 2024, arXiv:2405.04434,
section 2.1; gated cross-attention: Alayrac et al. 2022, arXiv:2204.14198, section 2.2.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gemini_workshop.config import LayerConfig, ModelConfig
from gemini_workshop.models.attention import AttentionFunction, AttentionRule, grouped_query_attention
from gemini_workshop.models.backends import fast_causal_attention
from gemini_workshop.models.embeddings import alibi_slopes, apply_rotary, apply_rotary_interleaved
from gemini_workshop.models.linear import Linear, project
from gemini_workshop.models.multi_head_attention import merge_heads, split_heads
from gemini_workshop.models.normalization import NORMS, RMSNorm, UnitRMS, make_norm


class Rotation(NamedTuple):
    """Cosine and sine of each token's angles, and which channels form a pair."""

    cos: Float[Tensor, "*B T pairs"]
    sin: Float[Tensor, "*B T pairs"]
    layout: str


def rotate(x: Float[Tensor, "B H T C"], rotation: Rotation | None) -> Float[Tensor, "B H T C"]:
    """Turn as many leading channels as there are angles for; the others carry no position."""
    if rotation is None:
        return x
    turn = apply_rotary if rotation.layout == "half" else apply_rotary_interleaved
    turning = 2 * rotation.cos.shape[-1]
    if turning == x.shape[-1]:
        return turn(x, rotation.cos, rotation.sin)
    return torch.cat([turn(x[..., :turning], rotation.cos, rotation.sin), x[..., turning:]], dim=-1)


@runtime_checkable
class KeyValueStore(Protocol):
    """What a layer needs from its cache; :mod:`gemini_workshop.generation.cache` provides it."""

    def __len__(self) -> int:
        """Tokens stored so far."""
        ...

    def append(
        self, key: Float[Tensor, "B K T C"], value: Float[Tensor, "B K T Cv"]
    ) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
        """Store the new keys and values; return all of them, oldest first."""
        ...

    def stored(self) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
        """All keys and values, oldest first."""
        ...


class PassedOn:
    """Keys and values on their way from the layer that computes them to later ones that read them, without a cache."""

    def __len__(self) -> int:
        return 0

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Remember them for the layers to come."""
        self.key, self.value = key, value
        return key, value

    def stored(self) -> tuple[Tensor, Tensor]:
        """What was passed on."""
        return self.key, self.value


class AllHeadsNorm(RMSNorm):
    """RMSNorm over all heads of a token at once, as in OLMoE."""

    def forward(self, x: Float[Tensor, "B H T C"]) -> Float[Tensor, "B H T C"]:
        """Normalise heads and channels together."""
        return split_heads(super().forward(merge_heads(x)), num_heads=x.shape[1])


class GroupedQueryAttention(nn.Module):
    """Causal self-attention in which H / K neighbouring query heads share one key/value head."""

    slopes: Tensor | None

    def __init__(self, config: ModelConfig, layer: LayerConfig) -> None:
        super().__init__()
        D, H, K, C = config.embed_dim, config.num_heads, layer.num_kv_heads, layer.head_dim
        self.layer, self.num_heads, self.softcap = layer, H, config.attention_softcap
        self.query = Linear(D, H * C, bias=config.qkv_bias)
        self.key = Linear(D, K * C, bias=config.qkv_bias) if not layer.borrows_kv else None
        self.value = Linear(D, K * C, bias=config.qkv_bias) if not layer.borrows_kv | layer.values_are_keys else None
        self.output = Linear(H * C, D, bias=config.output_bias)
        self.query_norm = _head_norm(config, H, C)
        self.key_norm = _head_norm(config, K, C) if not layer.borrows_kv else nn.Identity()
        self.value_norm = UnitRMS(config.norm_eps) if config.value_norm else nn.Identity()
        self.sinks = nn.Parameter(torch.zeros(H)) if config.attention_sinks else None
        self.register_buffer("slopes", alibi_slopes(H) if config.positions == "alibi" else None, persistent=False)
        self.attend: AttentionFunction = fast_causal_attention

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation | None = None,
        store: KeyValueStore | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Let every token gather from itself and the tokens before it, stored ones included."""
        layers = [layer for layer in (self.query, self.key, self.value) if layer is not None]
        query, *others = project(x, layers)
        query = rotate(self.query_norm(split_heads(query, self.num_heads)), rotation)
        key, value = self.keys_values(others, rotation, store)
        mixed = self.attend(query, key, value, self.rule(_of_keys(segment_ids, key)))
        return self.output(merge_heads(mixed))

    def keys_values(
        self, projected: Sequence[Float[Tensor, "B T KC"]], rotation: Rotation | None, store: KeyValueStore | None
    ) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S C"]]:
        """The keys and values of these tokens after the stored ones, or all those of the layer borrowed from.

        Args:
            projected: to keys and to values; to keys alone, which are then the values too; nothing in a borrower.
        """
        if not projected:
            assert store is not None  # the decoder hands a layer that borrows the store of the one that lends
            return store.stored()
        key, *rest = (split_heads(x, self.layer.num_kv_heads) for x in projected)
        value = self.value_norm(rest[0] if rest else key)
        key = rotate(self.key_norm(key), rotation)
        return (key, value) if store is None else store.append(key, value)

    def rule(self, segment_ids: Int[Tensor, "B S"] | None = None) -> AttentionRule:
        """What this layer adds to plain causal attention."""
        return AttentionRule(
            scale=self.layer.query_scale,
            softcap=self.softcap,
            window_tokens=self.layer.window_tokens,
            sinks=self.sinks,
            slopes=self.slopes,
            segment_ids=segment_ids,
        )


class LatentAttention(nn.Module):
    """Multi-head latent attention: a token is remembered as one latent vector and one rotated key for all heads.

    Reading many tokens at once, each head unpacks its keys and values from the latent vectors. Reading one more
    token, the unpacking moves to the other side: a head's query is carried into the space of the latent vectors
    and attends to them directly, as if they were one key/value head (multi-query attention).
    """

    def __init__(self, config: ModelConfig, layer: LayerConfig) -> None:
        super().__init__()
        assert config.latent is not None
        self.layer, self.latent, self.num_heads = layer, config.latent, config.num_heads
        D, H, latent = config.embed_dim, config.num_heads, config.latent
        if latent.query_rank is None:
            self.query: nn.Module = Linear(D, H * layer.head_dim, bias=False)
        else:
            self.query_down = Linear(D, latent.query_rank, bias=config.qkv_bias)
            self.query_down_norm = NORMS[config.norm](latent.query_rank, latent.norm_eps)
            self.query_up = Linear(latent.query_rank, H * layer.head_dim, bias=False)
        self.latent_down = Linear(D, latent.kv_rank + latent.rope_dim, bias=config.qkv_bias)
        self.latent_norm = NORMS[config.norm](latent.kv_rank, latent.norm_eps)
        self.latent_up = Linear(latent.kv_rank, H * (latent.content_dim + latent.value_dim), bias=False)
        self.output = Linear(H * latent.value_dim, D, bias=config.output_bias)
        self.attend: AttentionFunction = fast_causal_attention

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation | None = None,
        store: KeyValueStore | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Let every token gather from itself and the tokens before it, stored ones included."""
        content, position = self._split_head(split_heads(self._query(x), self.num_heads))
        position = rotate(position, rotation)
        latents = self.latents(x, rotation, store)
        rule = AttentionRule(
            scale=self.layer.query_scale,
            window_tokens=self.layer.window_tokens,
            segment_ids=_of_keys(segment_ids, latents),
        )
        attend = self._attend_to_latents if store is not None and x.shape[1] == 1 else self._attend_to_unpacked
        return self.output(merge_heads(attend(content, position, latents, rule)))

    def latents(
        self, x: Float[Tensor, "B T D"], rotation: Rotation | None, store: KeyValueStore | None
    ) -> Float[Tensor, "B 1 S R"]:
        """All that is remembered of each token: its normed latent vector and its rotated key, side by side."""
        latent, position = self.latent_down(x).unsqueeze(1).split([self.latent.kv_rank, self.latent.rope_dim], dim=-1)
        both = torch.cat([self.latent_norm(latent), rotate(position, rotation)], dim=-1)
        return both if store is None else store.append(both, both[..., :0])[0]

    def _attend_to_unpacked(self, content: Tensor, position: Tensor, latents: Tensor, rule: AttentionRule) -> Tensor:
        latent, shared_key = latents.split([self.latent.kv_rank, self.latent.rope_dim], dim=-1)
        to_key, to_value = self._unpacking()
        key = torch.cat([latent @ to_key.mT, shared_key.expand(-1, self.num_heads, -1, -1)], dim=-1)
        return self.attend(torch.cat([content, position], dim=-1), key, latent @ to_value.mT, rule)

    def _attend_to_latents(self, content: Tensor, position: Tensor, latents: Tensor, rule: AttentionRule) -> Tensor:
        to_key, to_value = self._unpacking()
        query = torch.cat([content @ to_key, position], dim=-1)
        return self.attend(query, latents, latents[..., : self.latent.kv_rank], rule) @ to_value.mT

    def _query(self, x: Tensor) -> Tensor:
        if self.latent.query_rank is None:
            return self.query(x)
        return self.query_up(self.query_down_norm(self.query_down(x)))

    def _split_head(self, query: Tensor) -> tuple[Tensor, Tensor]:
        content, position = query.split([self.latent.content_dim, self.latent.rope_dim], dim=-1)
        return content, position

    def _unpacking(self) -> tuple[Float[Tensor, "H N R"], Float[Tensor, "H Cv R"]]:
        """The matrices by which each head unpacks a latent vector into a key's content and a value."""
        matrices = rearrange(self.latent_up.weight, "(h c) r -> h c r", h=self.num_heads)
        to_key, to_value = matrices.split([self.latent.content_dim, self.latent.value_dim], dim=1)
        return to_key, to_value


class CrossAttention(nn.Module):
    """Queries from the text, keys and values from something else.

    Args:
        gated: scale the output by a learned ``tanh(gate)`` that starts at zero, so that the layer can be put into
            a trained model without disturbing it.
    """

    def __init__(
        self, embed_dim: int, context_dim: int, num_heads: int, num_kv_heads: int, head_dim: int, gated: bool = False
    ) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads = num_heads, num_kv_heads
        self.query = Linear(embed_dim, num_heads * head_dim, bias=False)
        self.key = Linear(context_dim, num_kv_heads * head_dim, bias=False)
        self.value = Linear(context_dim, num_kv_heads * head_dim, bias=False)
        self.output = Linear(num_heads * head_dim, embed_dim, bias=False)
        self.gate = nn.Parameter(torch.zeros(1)) if gated else None

    def forward(
        self, x: Float[Tensor, "B T D"], context: Float[Tensor, "B S E"], mask: Bool[Tensor, "T S"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Let every token gather from the context.

        Args:
            mask: True where token t may look at context vector s; everywhere, if left out.
        """
        query = split_heads(self.query(x), self.num_heads)
        key = split_heads(self.key(context), self.num_kv_heads)
        value = split_heads(self.value(context), self.num_kv_heads)
        found = self.output(merge_heads(grouped_query_attention(query, key, value, mask)))
        return found if self.gate is None else torch.tanh(self.gate) * found


def make_attention(config: ModelConfig, layer: LayerConfig) -> GroupedQueryAttention | LatentAttention:
    """The self-attention that a layer of this configuration uses."""
    return GroupedQueryAttention(config, layer) if config.latent is None else LatentAttention(config, layer)


def stored_shapes(config: ModelConfig, layer: LayerConfig) -> tuple[tuple[int, int], tuple[int, int]]:
    """Heads and channels of the keys and of the values that a layer stores for each token."""
    if config.latent is None:
        return (layer.num_kv_heads, layer.head_dim), (layer.num_kv_heads, layer.head_dim)
    return (1, config.latent.kv_rank + config.latent.rope_dim), (1, 0)


def _of_keys(segment_ids: Tensor | None, key: Tensor) -> Tensor | None:
    """The segments of these keys: a store may have forgotten the oldest tokens."""
    return None if segment_ids is None else segment_ids[:, -key.shape[2] :]


def _head_norm(config: ModelConfig, num_heads: int, head_dim: int) -> nn.Module:
    if config.qk_norm == "all_heads":
        return AllHeadsNorm(num_heads * head_dim, config.norm_eps)
    return make_norm(config, head_dim) if config.qk_norm == "head" else nn.Identity()
