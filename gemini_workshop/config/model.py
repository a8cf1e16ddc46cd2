"""The decoder's architecture: every published family, and the workshop's own model, is a value of ModelConfig."""

from dataclasses import dataclass
from typing import Literal

from gemini_workshop.config.section import Section, divisors, either, option


@dataclass(frozen=True, kw_only=True, slots=True)
class RotaryConfig(Section):
    """How fast rotary positions turn, and how they are slowed down for texts longer than those trained on."""

    base: float = option("Base of the frequencies: larger means slower pairs and longer reach.")
    layout: Literal["half", "interleaved"] = option(
        "Which channels form pair i: i and i + C/2 (half), or 2i and 2i + 1 (interleaved).", default="half"
    )
    fraction: float = option("Share of the head that turns; the rest carries no position.", default=1.0)
    fraction_of: Literal["channels", "pairs"] = option(
        "What fraction cuts: the channels, so that fewer of them run through all frequencies (GPT-NeoX), or the "
        "pairs, so that only the fastest turn (Gemma 4).",
        default="channels",
    )
    scaling: Literal["none", "linear", "ntk", "llama3", "yarn"] = option(
        "How the frequencies are slowed down for longer texts.", default="none"
    )
    factor: float = option("How many times longer than trained the texts may be.", default=1.0)
    original_tokens: int | None = option("llama3, yarn: longest text before scaling, in tokens.", default=None)
    low_freq_factor: float = option("llama3: pairs that turn fewer times than this are slowed down.", default=1.0)
    high_freq_factor: float = option("llama3: pairs that turn more times than this are kept.", default=4.0)
    slow_turns: float = option("yarn: pairs that turn fewer times than this are slowed down.", default=1.0)
    fast_turns: float = option("yarn: pairs that turn more times than this are kept.", default=32.0)
    round_range: bool = option("yarn: round the borders between kept and slowed pairs to whole pairs.", default=True)
    magnitude: float | None = option(
        "Factor of cosine and sine, which sharpens attention; null: 0.1 ln(factor) + 1 for yarn, else 1.", default=None
    )

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive("base", "factor", "low_freq_factor", "high_freq_factor", "slow_turns", "fast_turns")
        self._need(
            0 < self.fraction <= 1,
            f"rope fraction={self.fraction} is outside (0, 1].",
            "Choose 1 to turn the whole head; for no rotary positions at all set positions=none.",
        )
        self._need(
            self.original_tokens is not None or self.scaling not in ("llama3", "yarn"),
            f"rope scaling={self.scaling} needs original_tokens, and it is null.",
            "Give the context that the model was trained on.",
        )
        if self.original_tokens is not None:
            self._need_positive("original_tokens")
        for low, high in (("low_freq_factor", "high_freq_factor"), ("slow_turns", "fast_turns")):
            smaller, larger = getattr(self, low), getattr(self, high)
            self._need(smaller < larger, f"{low}={smaller} is not below {high}={larger}.", "Swap them.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentAttentionConfig(Section):
    """Multi-head latent attention (DeepSeek): keys and values are unpacked from one small vector a token."""

    kv_rank: int = option("Numbers in the latent vector from which all keys and values of a token are unpacked.")
    query_rank: int | None = option("Width of the bottleneck of the queries; null: none.", default=None)
    content_dim: int = option("Channels of a head that compare content, without position.")
    rope_dim: int = option("Channels of a head that carry position; their key is shared by all heads.")
    value_dim: int = option("Channels of a head's value.")
    norm_eps: float = option("Added under the root in the norms of the latent vectors.", default=1e-6)

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive("kv_rank", "content_dim", "rope_dim", "value_dim", "norm_eps")
        if self.query_rank is not None:
            self._need_positive("query_rank")


@dataclass(frozen=True, kw_only=True, slots=True)
class MoEConfig(Section):
    """A mixture of experts in place of the feed-forward layer: each token is sent to a few of many small ones."""

    num_experts: int = option("Experts to choose among.")
    experts_per_token: int = option("Experts that each token is sent to.")
    expert_dim: int = option("Hidden width of one expert.")
    shared_experts: int = option("Experts that every token passes, besides the chosen ones.", default=0)
    scoring: Literal["softmax", "softmax_of_chosen", "sigmoid"] = option(
        "How router scores become weights: softmax over all and then choose (Mixtral), choose and then softmax over "
        "the chosen (gpt-oss), or each score by itself (DeepSeek-V3).",
        default="softmax",
    )
    renormalize: bool = option("Divide the chosen experts' weights by their sum.", default=True)
    routed_scale: float = option("Factor of the routed experts' sum.", default=1.0)
    selection_bias: bool = option("Choose by score plus a bias that follows the load, not the gradient.", default=False)
    num_groups: int = option("Groups that the experts are divided into.", default=1)
    kept_groups: int = option("Groups among which a token may choose.", default=1)
    group_score: Literal["max", "top2_sum"] = option(
        "What ranks the groups: their best expert (DeepSeek-V2) or the sum of their best two (V3).", default="max"
    )
    router_bias: bool = option("A bias on the router's scores (gpt-oss).", default=False)
    router_norm: bool = option("Normalise what the router reads, with a learned scale (Gemma 4).", default=False)
    per_expert_scale: bool = option("A learned factor for each expert's output (Gemma 4).", default=False)
    expert_bias: bool = option("Biases inside the experts, and gates that are clamped (gpt-oss).", default=False)
    beside_dense: bool = option("Experts beside the dense feed-forward, not in its place (Gemma 4).", default=False)
    dense_layers: tuple[int, ...] = option("Numbers of the layers without experts.", default=())
    capacity_factor: float | None = option(
        "Most tokens that one expert takes, as a multiple of an even share; the rest is dropped. Null: no limit.",
        default=None,
    )
    balance_weight: float = option("Weight of the load-balancing loss.", default=0.01)
    z_weight: float = option("Weight of the router's z-loss, which keeps its scores small.", default=0.001)
    bias_rate: float = option("How far the selection bias moves after each step.", default=0.001)

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive("num_experts", "experts_per_token", "expert_dim", "routed_scale")
        self._need_positive("num_groups", "kept_groups")
        self._need(
            self.experts_per_token <= self.num_experts,
            f"experts_per_token={self.experts_per_token} is more than num_experts={self.num_experts}.",
            f"Choose at most {self.num_experts}.",
        )
        self._need(
            self.num_experts % self.num_groups == 0,
            f"num_experts={self.num_experts} is not a multiple of num_groups={self.num_groups}.",
            f"Try num_groups={either(divisors(self.num_experts))}.",
        )
        self._need(
            self.kept_groups <= self.num_groups,
            f"kept_groups={self.kept_groups} is more than num_groups={self.num_groups}.",
            f"Choose at most {self.num_groups}.",
        )
        reachable = self.kept_groups * self.num_experts // self.num_groups
        self._need(
            self.experts_per_token <= reachable,
            f"experts_per_token={self.experts_per_token} is more than the {reachable} experts of the kept groups.",
            "Keep more groups or choose fewer experts.",
        )
        if self.capacity_factor is not None:
            self._need_positive("capacity_factor")
        for name in ("shared_experts", "balance_weight", "z_weight", "bias_rate"):
            value = getattr(self, name)
            self._need(value >= 0, f"{name}={value} is negative.", "Choose 0 or more.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerConfig:
    """What one layer is. :attr:`ModelConfig.layers` works it out, so that no layer asks for its own number."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig(Section):
    """The decoder's architecture. Sizes have no default; what only some model families have is off by default."""

    vocab_size: int = option("Number of token ids the model knows.")
    context_tokens: int = option("Longest sequence that the model is trained on, in tokens.")
    embed_dim: int = option("Width of the residual stream.")
    num_layers: int = option("Number of transformer blocks.")
    num_heads: int = option("Query heads in each attention layer.")
    num_kv_heads: int = option("Key/value heads; each serves num_heads / num_kv_heads query heads.")
    head_dim: int = option("Channels of one head; even, because rotary positions turn pairs of channels.")
    ffn_dim: int = option("Hidden width of the feed-forward layers.")

    positions: Literal["rotary", "learned", "sinusoidal", "alibi", "none"] = option(
        "How the model knows the order of the tokens.", default="rotary"
    )
    rope: RotaryConfig | None = option("Rotary positions; null if there are none.", default=None)
    local_rope: RotaryConfig | None = option("Rotary positions of local layers, if they differ.", default=None)
    embedding_scale: float = option("Factor of the token embeddings; Gemma takes sqrt(embed_dim).", default=1.0)
    per_layer_embed_dim: int | None = option("Width of an extra embedding for each layer (Gemma 4 E2B).", default=None)
    tied_head: bool = option("Read the logits with the embedding table itself instead of a second matrix.")
    final_softcap: float | None = option("Bound of the logits: cap * tanh(logit / cap).", default=None)

    norm: Literal["rms", "rms_offset", "layer"] = option(
        "Kind of norm: RMSNorm, RMSNorm with the weight stored as offset from 1 (Gemma 1-3), LayerNorm (GPT-2).",
        default="rms",
    )
    norm_eps: float = option("Added under the root of the norms, so that a zero vector stays finite.")
    norm_placement: Literal["pre", "post", "sandwich"] = option(
        "Norms before each sublayer, after each addition (the first transformer), or before and after each sublayer.",
        default="pre",
    )
    layer_scale: bool = option("A learned factor for each layer's output (Gemma 4).", default=False)

    layer_pattern: tuple[Literal["global", "local"], ...] = option(
        "Kinds of the layers, repeated: global ones see all earlier tokens, local ones a window.", default=("global",)
    )
    window_tokens: int | None = option("Tokens that a local layer sees, the asking one included.", default=None)
    qk_norm: Literal["none", "head", "all_heads"] = option(
        "Normalise queries and keys before they are compared: each head (Gemma 3) or all heads at once (OLMoE).",
        default="none",
    )
    value_norm: bool = option("Normalise values, without weights (Gemma 4).", default=False)
    query_scale: float | tuple[float, ...] | None = option(
        "Factor of the scores, one for all layers or one each; null: 1 / sqrt(head_dim).", default=None
    )
    attention_softcap: float | None = option("Bound of the scores: cap * tanh(score / cap).", default=None)
    attention_sinks: bool = option("A learned score for each head that takes attention to nowhere.", default=False)
    qkv_bias: bool = option("Biases on queries, keys and values.", default=False)
    output_bias: bool = option("A bias on the attention's output.", default=False)
    global_head_dim: int | None = option("head_dim of global layers, if it differs.", default=None)
    global_kv_heads: int | None = option("num_kv_heads of global layers, if it differs.", default=None)
    global_values_are_keys: bool = option("Global layers have no value matrix; keys serve as values.", default=False)
    shared_kv_layers: int = option("Last layers that read an earlier layer's keys and values.", default=0)
    latent: LatentAttentionConfig | None = option("Latent attention in place of grouped heads.", default=None)

    activation: Literal["relu", "relu_squared", "gelu", "gelu_tanh", "silu"] = option(
        "Nonlinearity of the feed-forward; gated, silu makes SwiGLU and gelu_tanh GeGLU."
    )
    gated: bool = option("The feed-forward has a gate; without one it is two matrices.", default=True)
    feed_forward_bias: bool = option("Biases in the feed-forward.", default=False)
    shared_kv_ffn_dim: int | None = option("ffn_dim of the layers that share keys and values.", default=None)
    moe: MoEConfig | None = option("Experts in place of the feed-forward; null: none.", default=None)

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

    def _check_positions(self) -> None:
        is_rotary = self.positions == "rotary"
        self._need(
            not is_rotary or self.rope is not None,
            "positions=rotary needs rope, and it is null.",
            "Write for example rope: {base: 10000.0}.",
        )
        self._need(
            is_rotary or (self.rope is None and self.local_rope is None),
            f"positions={self.positions} has no use for rope.",
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
                "Each head unpacks its own key from the latent vector.",
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
            "Say how many tokens they see.",
        )
        self._need(
            not isinstance(self.query_scale, tuple) or len(self.query_scale) == self.num_layers,
            f"query_scale={self.query_scale} does not have one value for each of num_layers={self.num_layers}.",
            "Give one number for all layers, or one each.",
        )
        own = self.num_layers - self.shared_kv_layers
        kinds = [self._kind(i) for i in range(self.num_layers)]
        self._need(
            self.shared_kv_layers >= 0 and set(kinds[own:]) <= set(kinds[: max(own, 0)]),
            f"shared_kv_layers={self.shared_kv_layers} leaves a layer without an earlier one of its kind to read from.",
            "Share fewer layers.",
        )
        dense = self.moe.dense_layers if self.moe else ()
        self._need(
            all(0 <= i < self.num_layers for i in dense),
            f"dense_layers={list(dense)} names a layer outside 0 to {self.num_layers - 1}.",
            "Layers are counted from 0.",
        )

    def turning_channels(self, layer: LayerConfig) -> int:
        """Channels of a head that rotary positions may turn: all, or those that latent attention keeps for it."""
        return layer.head_dim if self.latent is None else self.latent.rope_dim

    def _kind(self, i: int) -> str:
        return self.layer_pattern[i % len(self.layer_pattern)]

    @property
    def layers(self) -> tuple[LayerConfig, ...]:
        """What each layer is, first layer first."""
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
        )
