"""The architecture of the decoder. Every published family, and the workshop's own model, is a ModelConfig."""

from dataclasses import dataclass
from typing import Literal

from gemini_workshop.config.components import LatentAttentionConfig, MoEConfig, RotaryConfig
from gemini_workshop.config.media import MediaConfig
from gemini_workshop.config.section import Section, divisors, either, option


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerConfig:
    """The settings of one layer, as computed by :attr:`ModelConfig.layers`, so that no layer needs its own number."""

    window_tokens: int | None
    num_kv_heads: int
    head_dim: int
    query_scale: float
    rope: RotaryConfig | None
    values_are_keys: bool
    kv_source: int
    borrows_kv: bool
    ffn_dim: int
    has_experts: bool
    sees_whole_images: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig(Section):
    """The architecture of the decoder. Sizes have no default; what only some families have is off by default."""

    vocab_size: int = option("Number of token ids the model knows.")
    context_tokens: int = option("Longest sequence in training, in tokens.")
    embed_dim: int = option("Width of the residual stream.")
    num_layers: int = option("Number of transformer blocks.")
    num_heads: int = option("Query heads in each attention layer.")
    num_kv_heads: int = option("Key/value heads; each serves num_heads / num_kv_heads query heads.")
    head_dim: int = option("Channels of one head; even, because rotary positions turn pairs of channels.")
    ffn_dim: int = option("Hidden width of the feed-forward layers.")

    positions: Literal["rotary", "learned", "sinusoidal", "alibi", "none"] = option(
        "How the model represents the order of the tokens.", default="rotary"
    )
    rope: RotaryConfig | None = option("Rotary positions; null if there are none.", default=None)
    local_rope: RotaryConfig | None = option("Rotary positions of local layers, if they differ.", default=None)
    embedding_scale: float = option("Factor of the token embeddings; Gemma uses sqrt(embed_dim).", default=1.0)
    per_layer_embed_dim: int | None = option("Width of an extra embedding per layer (Gemma 4 E2B).", default=None)
    tied_head: bool = option("Compute the logits with the embedding table instead of a second matrix.")
    final_softcap: float | None = option("Limit of the logits: cap * tanh(logit / cap); null: none.", default=None)

    norm: Literal["rms", "rms_offset", "layer"] = option(
        "Type of norm: RMSNorm, RMSNorm with weights stored as offsets from 1 (Gemma 1-3), or LayerNorm (GPT-2).",
        default="rms",
    )
    norm_eps: float = option("Added under the square root of the norms, so that a zero vector stays finite.")
    norm_placement: Literal["pre", "post", "sandwich"] = option(
        "Norms before each sublayer, after each addition (the original transformer), or around each sublayer.",
        default="pre",
    )
    layer_scale: bool = option("A learned factor for each layer's output (Gemma 4).", default=False)

    layer_pattern: tuple[Literal["global", "local"], ...] = option(
        "Types of the layers, repeated. Global layers see all earlier tokens, local ones a window.", default=("global",)
    )
    window_tokens: int | None = option("Tokens that a local layer sees, including the current one.", default=None)
    qk_norm: Literal["none", "head", "all_heads"] = option(
        "Normalize queries and keys: each head by itself (Gemma 3) or all heads together (OLMoE).",
        default="none",
    )
    value_norm: bool = option("Normalize values, without weights (Gemma 4).", default=False)
    query_scale: float | tuple[float, ...] | None = option(
        "Factor of the attention scores, one for all layers or one for each; null: 1 / sqrt(head_dim).", default=None
    )
    attention_softcap: float | None = option("Limit of the scores: cap * tanh(score / cap); null: none.", default=None)
    attention_sinks: bool = option("A learned score per head that absorbs attention (gpt-oss).", default=False)
    qkv_bias: bool = option("Biases on queries, keys and values.", default=False)
    output_bias: bool = option("A bias on the attention's output.", default=False)
    global_head_dim: int | None = option("head_dim of global layers, if it differs.", default=None)
    global_kv_heads: int | None = option("num_kv_heads of global layers, if it differs.", default=None)
    global_values_are_keys: bool = option("Global layers use their keys as values (Gemma 4).", default=False)
    shared_kv_layers: int = option("Number of last layers that reuse earlier keys and values (Gemma 4).", default=0)
    latent: LatentAttentionConfig | None = option("Latent attention (DeepSeek); null: grouped heads.", default=None)

    activation: Literal["relu", "relu_squared", "gelu", "gelu_tanh", "silu"] = option(
        "Nonlinearity of the feed-forward; with a gate, silu is SwiGLU and gelu_tanh is GeGLU."
    )
    gated: bool = option("The feed-forward has a gate; without one it has only two matrices.", default=True)
    feed_forward_bias: bool = option("Biases in the feed-forward.", default=False)
    shared_kv_ffn_dim: int | None = option("ffn_dim of the layers that reuse keys and values.", default=None)
    moe: MoEConfig | None = option("Experts in place of the feed-forward; null: none.", default=None)
    media: MediaConfig | None = option("Images and audio in the stream; null: text alone.", default=None)

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive("vocab_size", "context_tokens", "embed_dim", "num_layers", "num_heads")
        self._need_positive("num_kv_heads", "head_dim", "ffn_dim", "norm_eps", "embedding_scale")
        for name in (
            *("global_head_dim", "global_kv_heads", "per_layer_embed_dim", "shared_kv_ffn_dim", "window_tokens"),
            *("attention_softcap", "final_softcap"),
        ):
            if getattr(self, name) is not None:
                self._need_positive(name)
        self._check_positions()
        self._check_heads()
        self._check_layers()
        self._check_media()

    def _check_positions(self) -> None:
        is_rotary = self.positions == "rotary"
        self._need(
            not is_rotary or self.rope is not None,
            "positions=rotary needs rope, but it is null.",
            "Write, for example, rope: {base: 10000.0}.",
        )
        self._need(
            is_rotary or (self.rope is None and self.local_rope is None),
            f"positions={self.positions} does not use rope.",
            "Set rope and local_rope to null, or positions to rotary.",
        )
        self._need(
            self.positions != "sinusoidal" or self.embed_dim % 2 == 0,
            f"embed_dim={self.embed_dim} is odd, but sinusoidal positions are pairs of sine and cosine.",
            f"Try embed_dim={self.embed_dim + 1}.",
        )

    def _check_heads(self) -> None:
        for name in ("num_kv_heads", "global_kv_heads"):
            kv_heads = getattr(self, name)
            self._need(
                kv_heads is None or self.num_heads % kv_heads == 0,
                f"num_heads={self.num_heads} is not a multiple of {name}={kv_heads}.",
                "Each key/value head must serve the same number of query heads. "
                f"Try {name}={either(divisors(self.num_heads))}.",
            )
        if self.latent is not None:
            parts = self.latent.content_dim + self.latent.rope_dim
            self._need(
                self.head_dim == parts and self.num_kv_heads == self.num_heads,
                f"With latent attention, head_dim={self.head_dim} must be content_dim + rope_dim = {parts} and "
                f"num_kv_heads={self.num_kv_heads} must be num_heads={self.num_heads}.",
                "Each head computes its own key from the latent vector.",
            )
        for name in ("head_dim", "global_head_dim"):
            channels = getattr(self, name)
            self._need(
                channels is None or channels % 2 == 0 or self.positions != "rotary",
                f"{name}={channels} is odd, but rotary positions turn channels in pairs.",
                f"Try {name}={(channels or 0) + 1}.",
            )
        if self.latent is not None:
            self._need(
                self.latent.rope_dim % 2 == 0,
                f"rope_dim={self.latent.rope_dim} is odd, but rotary positions turn channels in pairs.",
                f"Try rope_dim={self.latent.rope_dim + 1}.",
            )

    def _check_layers(self) -> None:
        self._need(len(self.layer_pattern) > 0, "layer_pattern is empty.", "Write [global] for plain layers.")
        self._need(
            "local" not in self.layer_pattern or self.window_tokens is not None,
            "layer_pattern has local layers, but window_tokens is null.",
            "Set window_tokens to the number of tokens that they see.",
        )
        self._need(
            not isinstance(self.query_scale, tuple) or len(self.query_scale) == self.num_layers,
            f"query_scale={self.query_scale} does not have one value for each of num_layers={self.num_layers}.",
            "Give one number for all layers, or one for each.",
        )
        own = self.num_layers - self.shared_kv_layers
        kinds = [self._kind(i) for i in range(self.num_layers)]
        self._need(
            self.shared_kv_layers >= 0 and set(kinds[own:]) <= set(kinds[: max(own, 0)]),
            f"shared_kv_layers={self.shared_kv_layers} leaves a layer without an earlier one of its type.",
            "Share fewer layers.",
        )
        dense = self.moe.dense_layers if self.moe else ()
        self._need(
            all(0 <= i < self.num_layers for i in dense),
            f"dense_layers={list(dense)} names a layer outside 0 to {self.num_layers - 1}.",
            "Layers are counted from 0.",
        )

    def _check_media(self) -> None:
        if self.media is None:
            return
        for name in ("image_token_id", "audio_token_id"):
            value = getattr(self.media, name)
            self._need(
                value is None or 0 <= value < self.vocab_size,
                f"{name}={value} is outside 0 to {self.vocab_size - 1}.",
                "Choose the id of a special token.",
            )
        self._need(
            self.per_layer_embed_dim is None,
            f"per_layer_embed_dim={self.per_layer_embed_dim} needs a token for each vector, and media have none.",
            "Set per_layer_embed_dim or media to null.",
        )

    def turning_channels(self, layer: LayerConfig) -> int:
        """Channels of a head that rotary positions may turn: all, or with latent attention those with position."""
        return layer.head_dim if self.latent is None else self.latent.rope_dim

    def _kind(self, i: int) -> str:
        return self.layer_pattern[i % len(self.layer_pattern)]

    @property
    def layers(self) -> tuple[LayerConfig, ...]:
        """The settings of each layer, first layer first."""
        own = self.num_layers - self.shared_kv_layers
        sources = [
            i if i < own else max(j for j in range(own) if self._kind(j) == self._kind(i))
            for i in range(self.num_layers)
        ]
        return tuple(self._layer(i, sources) for i in range(self.num_layers))

    def _layer(self, i: int, sources: list[int]) -> LayerConfig:
        is_global, is_shared = self._kind(i) == "global", sources[i] != i
        head_dim = (self.global_head_dim if is_global else None) or self.head_dim
        kv_heads = (self.global_kv_heads if is_global else None) or self.num_kv_heads
        scale = self.query_scale[i] if isinstance(self.query_scale, tuple) else self.query_scale
        return LayerConfig(
            window_tokens=None if is_global else self.window_tokens,
            num_kv_heads=kv_heads,
            head_dim=head_dim,
            query_scale=head_dim**-0.5 if scale is None else scale,
            rope=self.rope if is_global else self.local_rope or self.rope,
            values_are_keys=is_global and self.global_values_are_keys,
            kv_source=sources[i],
            borrows_kv=is_shared,
            ffn_dim=(self.shared_kv_ffn_dim if is_shared else None) or self.ffn_dim,
            has_experts=self.moe is not None and i not in self.moe.dense_layers,
            sees_whole_images=self._sees_whole_images(is_global),
        )

    def _sees_whole_images(self, is_global: bool) -> bool:
        kind = "causal" if self.media is None else self.media.image_attention
        return kind == "all" or (kind == "local" and not is_global)
