"""Multi-head latent attention: all heads unpack their keys and values from one small vector per token.

Source: DeepSeek-AI 2024, arXiv:2405.04434, section 2.1.
"""

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.config import LayerConfig, ModelConfig
from gemini_workshop.models.attention import AttentionFunction, AttentionRule, causal_attention
from gemini_workshop.models.embeddings import Rotation, rotate
from gemini_workshop.models.initialization import draw_linear
from gemini_workshop.models.key_value_store import KeyValueStore, images_of_keys, segments_of_keys
from gemini_workshop.models.multi_head_attention import merge_heads, split_heads
from gemini_workshop.models.normalization import NORMS


def latent_projections(
    x: Float[Tensor, "B S D"],
    down: Float[Tensor, "R D"],
    key_up: Float[Tensor, "H C R"],
    value_up: Float[Tensor, "H Cv R"],
) -> tuple[Float[Tensor, "B S R"], Float[Tensor, "B H S C"], Float[Tensor, "B H S Cv"]]:
    """One small vector per token, and the keys and values that every head unpacks from it.

    Equations 9 to 11 of the paper, before norm and rotary positions.

    Args:
        down: from a token's vector to its latent one, the same for all heads.
        key_up: of each head, from the latent vector to a key; ``value_up`` to a value.

    Returns:
        The latent vectors, which a cache keeps; keys; values.
    """
    latents = x @ down.T
    return latents, *unpack_latents(latents.unsqueeze(1), key_up, value_up)


def unpack_latents(
    latents: Float[Tensor, "B 1 S R"], key_up: Float[Tensor, "H C R"], value_up: Float[Tensor, "H Cv R"]
) -> tuple[Float[Tensor, "B H S C"], Float[Tensor, "B H S Cv"]]:
    """Keys and values of all heads from one latent vector per token."""
    return latents @ key_up.mT, latents @ value_up.mT


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
            self.query = nn.Linear(D, H * layer.head_dim, bias=False)
        else:
            self.query_down = nn.Linear(D, latent.query_rank, bias=config.qkv_bias)
            self.query_down_norm = NORMS[config.norm](latent.query_rank, latent.norm_eps)
            self.query_up = nn.Linear(latent.query_rank, H * layer.head_dim, bias=False)
        self.latent_down = nn.Linear(D, latent.kv_rank + latent.rope_dim, bias=config.qkv_bias)
        self.latent_norm = NORMS[config.norm](latent.kv_rank, latent.norm_eps)
        self.latent_up = nn.Linear(latent.kv_rank, H * (latent.content_dim + latent.value_dim), bias=False)
        self.output = nn.Linear(H * latent.value_dim, D, bias=config.output_bias)
        self.attend: AttentionFunction = causal_attention

    def reset_parameters(self, generator: torch.Generator | None = None, *, is_silent: bool = False) -> None:
        """Draw the weights again; those of the output are zero, if the layer starts silent."""
        for layer in self.children():
            if isinstance(layer, nn.Linear):
                draw_linear(layer, generator, is_silent=is_silent and layer is self.output)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation | None = None,
        store: KeyValueStore | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
        image_ids: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Let every token gather from itself and the tokens before it, stored ones included, and from its image."""
        content, position = self._split_head(split_heads(self._query(x), self.num_heads))
        position = rotate(position, rotation)
        latents = self.latents(x, rotation, store)
        rule = AttentionRule(
            scale=self.layer.query_scale,
            window_tokens=self.layer.window_tokens,
            segment_ids=segments_of_keys(segment_ids, latents),
            image_ids=images_of_keys(image_ids, latents) if self.layer.sees_whole_images else None,
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
        key, value = unpack_latents(latent, *self._unpacking())
        key = torch.cat([key, shared_key.expand(-1, self.num_heads, -1, -1)], dim=-1)
        return self.attend(torch.cat([content, position], dim=-1), key, value, rule)

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
