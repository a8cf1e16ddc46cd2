"""One transformer block: attend to other tokens, then transform each token; add both to the residual stream.

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.1 (norm after each addition, "post"); Xiong et al. 2020,
arXiv:2002.04745, section 3 (norm before each sublayer, "pre"); Gemma Team 2024, arXiv:2408.00118, section 2 (before
and after each sublayer, "sandwich").
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.config import LayerConfig, ModelConfig
from gemini_workshop.models.attention_layers import make_attention
from gemini_workshop.models.embeddings import Rotation
from gemini_workshop.models.feedforward import ACTIVATIONS, dense_feed_forward, gate_units
from gemini_workshop.models.initialization import draw_linear
from gemini_workshop.models.key_value_store import KeyValueStore
from gemini_workshop.models.moe import MixtureOfExperts
from gemini_workshop.models.normalization import make_norm


class TransformerBlock(nn.Module):
    """Attention and feed-forward on a residual stream. Norms that a placement leaves out pass everything through."""

    def __init__(self, config: ModelConfig, layer: LayerConfig) -> None:
        super().__init__()
        is_before, is_after = config.norm_placement != "post", config.norm_placement == "sandwich"

        def norm(is_used: bool) -> nn.Module:
            return make_norm(config, config.embed_dim) if is_used else nn.Identity()

        self.attention_norm = norm(is_before)
        self.attention = make_attention(config, layer)
        self.attention_output_norm = norm(is_after)
        self.attention_stream_norm = norm(not is_before)
        feed_forward = make_feed_forward(config, layer)
        self.feed_forward_norm = norm(is_before and not isinstance(feed_forward, DenseBesideExperts))
        self.feed_forward: Any = feed_forward  # any of them
        self.feed_forward_output_norm = norm(is_after)
        self.feed_forward_stream_norm = norm(not is_before)
        self.per_layer_gate = PerLayerGate(config) if config.per_layer_embed_dim is not None else None
        self.scale = nn.Parameter(torch.ones(1)) if config.layer_scale else None
        self.starts_silent = not is_after  # a norm of zeros has no useful gradient

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights again. The block is the identity at first, unless norms follow its sublayers."""
        self.attention.reset_parameters(generator, is_silent=self.starts_silent)
        self.feed_forward.reset_parameters(generator, is_silent=self.starts_silent)
        if self.per_layer_gate is not None:
            self.per_layer_gate.reset_parameters(generator)
        if self.scale is not None:
            self.scale.fill_(1.0)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation | None = None,
        store: KeyValueStore | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
        image_ids: Int[Tensor, "B T"] | None = None,
        layer_embedding: Float[Tensor, "B T P"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Add what each sublayer finds to the stream."""
        attended = self.attention(self.attention_norm(x), rotation, store, segment_ids, image_ids)
        x = self.attention_stream_norm(x + self.attention_output_norm(attended))
        transformed = self.feed_forward(self.feed_forward_norm(x))
        x = self.feed_forward_stream_norm(x + self.feed_forward_output_norm(transformed))
        if self.per_layer_gate is not None:
            x = x + self.per_layer_gate(x, layer_embedding)
        return x if self.scale is None else x * self.scale


class DenseBesideExperts(nn.Module):
    """A dense feed-forward and a mixture of experts side by side (Gemma 4): each has its own norms."""

    def __init__(self, config: ModelConfig, layer: LayerConfig) -> None:
        super().__init__()
        assert config.moe is not None
        self.dense_norm = make_norm(config, config.embed_dim)
        self.dense = dense_feed_forward(config, layer)
        self.dense_output_norm = make_norm(config, config.embed_dim)
        self.experts_norm = make_norm(config, config.embed_dim)
        self.experts = MixtureOfExperts(config.embed_dim, config.moe, config.activation, config.norm_eps)
        self.experts_output_norm = make_norm(config, config.embed_dim)

    def reset_parameters(self, generator: torch.Generator | None = None, *, is_silent: bool = False) -> None:  # noqa: ARG002
        """Draw the weights again. Norms follow both parts, so neither starts silent."""
        self.dense.reset_parameters(generator)
        self.experts.reset_parameters(generator)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """The router reads the stream itself, the others what their own norms make of it."""
        dense = self.dense_output_norm(self.dense(self.dense_norm(x)))
        return dense + self.experts_output_norm(self.experts(self.experts_norm(x), router_input=x))


class PerLayerGate(nn.Module):
    """Let a small embedding of the token, different in each layer, join the stream through a gate (Gemma 4 E2B)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        D, P = config.embed_dim, config.per_layer_embed_dim or 0
        self.activation = ACTIVATIONS[config.activation]
        self.gate = nn.Linear(D, P, bias=False)
        self.output = nn.Linear(P, D, bias=False)
        self.output_norm = make_norm(config, D)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights again."""
        draw_linear(self.gate, generator)
        draw_linear(self.output, generator)

    def forward(self, x: Float[Tensor, "B T D"], embedding: Float[Tensor, "B T P"]) -> Float[Tensor, "B T D"]:
        """What joins the stream."""
        return self.output_norm(self.output(gate_units(self.gate(x), embedding, self.activation)))


def make_feed_forward(config: ModelConfig, layer: LayerConfig) -> nn.Module:
    """The feed-forward that a layer of this configuration uses: dense, experts, or both side by side."""
    if config.moe is None or not layer.has_experts:
        return dense_feed_forward(config, layer)
    if config.moe.beside_dense:
        return DenseBesideExperts(config, layer)
    return MixtureOfExperts(config.embed_dim, config.moe, config.activation, config.norm_eps)
