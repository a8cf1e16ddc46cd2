"""The attention layers of the decoder: they own the weights, and let a function attend.

    GroupedQueryAttention   several query heads share a key/value head (multi-head and multi-query are its ends)
    CrossAttention          text looks at something else, such as the patches of an image

Multi-head latent attention is in :mod:`.latent_attention`.

Source: grouped: Ainslie et al. 2023, arXiv:2305.13245, section 2.2; gated cross-attention: Alayrac et al. 2022,
arXiv:2204.14198, section 2.2.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gemini_workshop.config import LayerConfig, ModelConfig
from gemini_workshop.models.attention import (
    AttentionFunction,
    AttentionRule,
    causal_attention,
    grouped_query_attention,
)
from gemini_workshop.models.embeddings import Rotation, alibi_slopes, rotate
from gemini_workshop.models.initialization import draw_linear
from gemini_workshop.models.key_value_store import KeyValueStore, images_of_keys, segments_of_keys
from gemini_workshop.models.latent_attention import LatentAttention
from gemini_workshop.models.multi_head_attention import merge_heads, split_heads
from gemini_workshop.models.multimodal.fusion import gated_cross_attention
from gemini_workshop.models.normalization import RMSNorm, UnitRMS, make_norm


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
        has_key, has_value = not layer.borrows_kv, not (layer.borrows_kv or layer.values_are_keys)
        self.query = nn.Linear(D, H * C, bias=config.qkv_bias)
        self.key = nn.Linear(D, K * C, bias=config.qkv_bias) if has_key else None
        self.value = nn.Linear(D, K * C, bias=config.qkv_bias) if has_value else None
        self.output = nn.Linear(H * C, D, bias=config.output_bias)
        self.query_norm = _head_norm(config, H, C)
        self.key_norm = _head_norm(config, K, C) if not layer.borrows_kv else nn.Identity()
        self.value_norm = UnitRMS(config.norm_eps) if config.value_norm else nn.Identity()
        self.sinks = nn.Parameter(torch.zeros(H)) if config.attention_sinks else None
        self.register_buffer("slopes", alibi_slopes(H) if config.positions == "alibi" else None, persistent=False)
        self.attend: AttentionFunction = causal_attention

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None, *, is_silent: bool = False) -> None:
        """Draw the weights again; those of the output are zero, if the layer starts silent."""
        for layer in (self.query, self.key, self.value):
            if layer is not None:
                draw_linear(layer, generator)
        draw_linear(self.output, generator, is_silent=is_silent)
        if self.sinks is not None:
            self.sinks.zero_()

    def restore_constants(self, device: str | torch.device) -> None:
        """Compute the slopes again."""
        if self.slopes is not None:
            self.slopes = alibi_slopes(self.num_heads).to(device)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation | None = None,
        store: KeyValueStore | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
        image_ids: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Let every token gather from itself and the tokens before it, stored ones included, and from its image."""
        query, key, value = self.project(x)
        query = rotate(self.query_norm(split_heads(query, self.num_heads)), rotation)
        key, value = self.keys_values(key, value, rotation, store)
        rule = self.rule(segments_of_keys(segment_ids, key), images_of_keys(image_ids, key))
        mixed = self.attend(query, key, value, rule)
        return self.output(merge_heads(mixed))

    def project(
        self, x: Float[Tensor, "B T D"]
    ) -> tuple[Float[Tensor, "B T HC"], Float[Tensor, "B T KC"] | None, Float[Tensor, "B T KC"] | None]:
        """Queries, keys and values of all heads side by side; no keys and values in a layer that borrows them."""
        key = None if self.key is None else self.key(x)
        value = key if self.value is None else self.value(x)
        return self.query(x), key, value

    def keys_values(
        self,
        key: Float[Tensor, "B T KC"] | None,
        value: Float[Tensor, "B T KC"] | None,
        rotation: Rotation | None,
        store: KeyValueStore | None,
    ) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S C"]]:
        """The keys and values of these tokens after the stored ones, or all those of the layer borrowed from."""
        if key is None or value is None:
            assert store is not None  # the decoder hands a layer that borrows the store of the one that lends
            return store.stored()
        key, value = (split_heads(x, self.layer.num_kv_heads) for x in (key, value))
        key, value = rotate(self.key_norm(key), rotation), self.value_norm(value)
        return (key, value) if store is None else store.append(key, value)

    def rule(
        self, segment_ids: Int[Tensor, "B S"] | None = None, image_ids: Int[Tensor, "B S"] | None = None
    ) -> AttentionRule:
        """What this layer adds to plain causal attention."""
        return AttentionRule(
            scale=self.layer.query_scale,
            softcap=self.softcap,
            window_tokens=self.layer.window_tokens,
            sinks=self.sinks,
            slopes=self.slopes,
            segment_ids=segment_ids,
            image_ids=image_ids if self.layer.sees_whole_images else None,
        )


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
        self.query = nn.Linear(embed_dim, num_heads * head_dim, bias=False)
        self.key = nn.Linear(context_dim, num_kv_heads * head_dim, bias=False)
        self.value = nn.Linear(context_dim, num_kv_heads * head_dim, bias=False)
        self.output = nn.Linear(num_heads * head_dim, embed_dim, bias=False)
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
        if self.gate is None:
            return self.output(merge_heads(grouped_query_attention(query, key, value, mask)))
        return self.output(merge_heads(gated_cross_attention(query, key, value, self.gate, mask)))


def make_attention(config: ModelConfig, layer: LayerConfig) -> GroupedQueryAttention | LatentAttention:
    """The self-attention that a layer of this configuration uses."""
    return GroupedQueryAttention(config, layer) if config.latent is None else LatentAttention(config, layer)


def stored_shapes(config: ModelConfig, layer: LayerConfig) -> tuple[tuple[int, int], tuple[int, int]]:
    """Heads and channels of the keys and of the values that a layer stores for each token."""
    if config.latent is None:
        return (layer.num_kv_heads, layer.head_dim), (layer.num_kv_heads, layer.head_dim)
    return (1, config.latent.kv_rank + config.latent.rope_dim), (1, 0)


def _head_norm(config: ModelConfig, num_heads: int, head_dim: int) -> nn.Module:
    if config.qk_norm == "all_heads":
        return AllHeadsNorm(num_heads * head_dim, config.norm_eps)
    return make_norm(config, head_dim) if config.qk_norm == "head" else nn.Identity()
