"""Qwen3: Llama with norms of queries and keys. The larger ones have 128 experts in place of the feed-forward.

Source: Qwen Team 2025, arXiv:2505.09388, section 2; Qwen3Config, Qwen3MoeConfig and their modeling files of
transformers 5.23.0.
"""

from gemini_workshop.config import ModelConfig
from gemini_workshop.models.families.conversions import (
    ATTENTION_BIAS,
    HEADS,
    ONE_WINDOW,
    SILU,
    USES_WINDOW,
    layer_types,
)
from gemini_workshop.models.families.engine import Conversion, Family, Values
from gemini_workshop.models.families.llama import DEFAULTS, KEYS, WEIGHTS, sizes
from gemini_workshop.models.families.names import QK_NORMS, ROUTER_AND_EXPERTS
from gemini_workshop.models.families.rope import ROPE


def later_are_local(values: Values) -> list[str]:
    """If windows are used at all, the layers from ``max_window_layers`` on use them."""
    first = values["max_window_layers"] if values["use_sliding_window"] else values["num_hidden_layers"]
    return ["full_attention" if i < first else "sliding_attention" for i in range(values["num_hidden_layers"])]


COMMON: Values = {"vocab_size": 151_936, "max_position_embeddings": 40_960, "rope_theta": 1_000_000.0}
TIED = COMMON | {"tie_word_embeddings": True}

QWEN3 = Family(
    model_type="qwen3",
    architecture="Qwen3ForCausalLM",
    sizes={
        # layers, heads, key/value heads, head_dim, embed_dim, ffn_dim
        "qwen3-0.6b": TIED | sizes(28, 16, 8, 128, 1024, 3072),
        "qwen3-1.7b": TIED | sizes(28, 16, 8, 128, 2048, 6144),
        "qwen3-4b": TIED | sizes(36, 32, 8, 128, 2560, 9728),
        "qwen3-8b": COMMON | sizes(36, 32, 8, 128, 4096, 12_288),
        "qwen3-14b": COMMON | sizes(40, 40, 8, 128, 5120, 17_408),
        "qwen3-32b": COMMON | sizes(64, 64, 8, 128, 5120, 25_600),
    },
    keys=KEYS,
    conversions=[HEADS, ATTENTION_BIAS, ROPE, SILU, layer_types(later_are_local), USES_WINDOW],
    constants={"qk_norm": "head"},
    defaults=DEFAULTS | {"head_dim": 128, "use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28},
    weights=WEIGHTS + QK_NORMS,
)

# --- With experts ---


def _read_dense_layers(values: Values) -> Values:
    step = values["decoder_sparse_step"]
    listed = values["mlp_only_layers"] or []
    dense = [i for i in range(values["num_hidden_layers"]) if i in listed or (i + 1) % step]
    return {"moe.dense_layers": tuple(dense)}


def _write_dense_layers(config: ModelConfig) -> Values:
    return {"mlp_only_layers": list(config.moe.dense_layers) if config.moe else []}


DENSE_LAYERS = Conversion(_read_dense_layers, _write_dense_layers)

QWEN3_MOE = Family(
    model_type="qwen3_moe",
    architecture="Qwen3MoeForCausalLM",
    sizes={
        "qwen3-30b-a3b": COMMON
        | sizes(48, 32, 4, 128, 2048, 6144)
        | {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "norm_topk_prob": True},
    },
    keys=KEYS
    | {
        "moe.num_experts": "num_experts",
        "moe.experts_per_token": "num_experts_per_tok",
        "moe.expert_dim": "moe_intermediate_size",
        "moe.renormalize": "norm_topk_prob",
    },
    conversions=[HEADS, ATTENTION_BIAS, ROPE, SILU, ONE_WINDOW, USES_WINDOW, DENSE_LAYERS],
    constants={"qk_norm": "head"},
    defaults=DEFAULTS
    | {
        "use_sliding_window": False,
        "sliding_window": 4096,
        "norm_topk_prob": False,
        "mlp_only_layers": None,
        "decoder_sparse_step": 1,
    },
    aliases={"num_local_experts": "num_experts"},
    weights=WEIGHTS + QK_NORMS + ROUTER_AND_EXPERTS,
)
