"""Parts of the decoder that have settings of their own: rotary positions, latent attention, experts."""

from dataclasses import dataclass
from typing import Literal

from gemini_workshop.config.section import Section, divisors, either, option


@dataclass(frozen=True, kw_only=True, slots=True)
class RotaryConfig(Section):
    """How fast rotary positions turn, and how they are slowed down for longer texts than in training."""

    base: float = option("Base of the frequencies; larger means slower rotation and longer reach.")
    layout: Literal["half", "interleaved"] = option(
        "Which channels form pair i: i and i + C/2 (half), or 2i and 2i + 1 (interleaved).", default="half"
    )
    fraction: float = option("Fraction of the head that turns; the rest carries no position.", default=1.0)
    fraction_of: Literal["channels", "pairs"] = option(
        "What the fraction is taken of: channels, which then run through all frequencies (GPT-NeoX), or pairs, "
        "of which only the fastest turn (Gemma 4).",
        default="channels",
    )
    scaling: Literal["none", "linear", "ntk", "llama3", "yarn"] = option(
        "How the frequencies are scaled for longer texts.", default="none"
    )
    factor: float = option("How many times longer than in training the texts may be.", default=1.0)
    original_tokens: int | None = option("llama3, yarn: longest text before scaling, in tokens.", default=None)
    low_freq_factor: float = option("llama3: pairs that turn fewer times than this are slowed down.", default=1.0)
    high_freq_factor: float = option("llama3: pairs that turn more times than this are kept.", default=4.0)
    slow_turns: float = option("yarn: pairs that turn fewer times than this are slowed down.", default=1.0)
    fast_turns: float = option("yarn: pairs that turn more times than this are kept.", default=32.0)
    round_range: bool = option("yarn: round the limits between kept and slowed pairs to whole pairs.", default=True)
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
            f"rope scaling={self.scaling} needs original_tokens, but it is null.",
            "Give the context length that the model was trained on.",
        )
        if self.original_tokens is not None:
            self._need_positive("original_tokens")
        for low, high in (("low_freq_factor", "high_freq_factor"), ("slow_turns", "fast_turns")):
            smaller, larger = getattr(self, low), getattr(self, high)
            self._need(smaller < larger, f"{low}={smaller} is not below {high}={larger}.", "Swap them.")


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentAttentionConfig(Section):
    """Multi-head latent attention (DeepSeek): keys and values are computed from one small vector per token."""

    kv_rank: int = option("Width of the latent vector from which all keys and values of a token are computed.")
    query_rank: int | None = option("Width of the latent vector of the queries; null: none.", default=None)
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
    """A mixture of experts in place of the feed-forward layer: each token goes to a few of many small ones."""

    num_experts: int = option("Number of experts to choose from.")
    experts_per_token: int = option("Experts that process each token.")
    expert_dim: int = option("Hidden width of one expert.")
    shared_experts: int = option("Experts that process every token, in addition to the chosen ones.", default=0)
    scoring: Literal["softmax", "softmax_of_chosen", "sigmoid"] = option(
        "How router scores become weights: softmax over all experts, then choose (Mixtral); choose, then softmax over "
        "the chosen (gpt-oss); or a sigmoid of each score (DeepSeek-V3).",
        default="softmax",
    )
    renormalize: bool = option("Divide the chosen experts' weights by their sum.", default=True)
    routed_scale: float = option("Factor of the sum of the routed experts.", default=1.0)
    selection_bias: bool = option("Choose by score plus a bias that balances the load (DeepSeek-V3).", default=False)
    num_groups: int = option("Groups that the experts are divided into.", default=1)
    kept_groups: int = option("Groups that a token may choose from.", default=1)
    group_score: Literal["max", "top2_sum"] = option(
        "Rank the groups by their best expert (DeepSeek-V2) or the sum of their best two (V3).", default="max"
    )
    router_bias: bool = option("A bias on the router's scores (gpt-oss).", default=False)
    router_norm: bool = option("Normalize the input of the router, with a learned scale (Gemma 4).", default=False)
    per_expert_scale: bool = option("A learned factor for each expert's output (Gemma 4).", default=False)
    expert_bias: bool = option("Biases in the experts, and clamped gates (gpt-oss).", default=False)
    beside_dense: bool = option("Experts in addition to the dense feed-forward (Gemma 4).", default=False)
    dense_layers: tuple[int, ...] = option("Layers without experts, counted from 0.", default=())
    capacity_factor: float | None = option(
        "Limit of tokens per expert, as a multiple of the mean; tokens beyond it are dropped. Null: no limit.",
        default=None,
    )
    balance_weight: float = option("Weight of the load-balancing loss.", default=0.01)
    z_weight: float = option("Weight of the z-loss, which keeps the router's scores small.", default=0.001)
    bias_rate: float = option("Change of the selection bias after each step.", default=0.001)

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
