"""Gemma 4: wide global heads that turn a quarter of their pairs, normalized values, unscaled scores, scaled layers.

The small models have an extra embedding for each layer and share keys and values between layers; one of the large
models has experts beside the dense feed-forward.

Source: the Gemma 4 model card and google-deepmind/gemma (gm/nn/gemma4), April 2026; Gemma4TextConfig and
modeling_gemma4.py of transformers 5.23.0.
"""

from operator import attrgetter

from gemini_workshop.config import ModelConfig
from gemini_workshop.errors import ConfigError
from gemini_workshop.models.families.conversions import every_nth_is_global, layer_types
from gemini_workshop.models.families.engine import Conversion, Family, Values
from gemini_workshop.models.families.gemma import (
    ACTIVATION,
    COMMON,
    GEMMA2_WEIGHTS,
    GEMMA_DEFAULTS,
    TWO_ROPES,
    UNUSED,
)
from gemini_workshop.models.families.llama import KEYS, MLP, sizes
from gemini_workshop.models.families.names import QK_NORMS, in_layers, renamed, stacked_experts, weight_and_bias

# --- config.json ---


def last_is_global_too(values: Values) -> list[str]:
    """As in Gemma 3, but the last layer is always global."""
    return [*every_nth_is_global(values)[:-1], "full_attention"]


def _read_global_heads(values: Values) -> Values:
    """The sizes of global layers: two keys in published files, an entry per layer in those of transformers 5."""
    by_layer = values.get("per_layer_config")
    if by_layer:
        sizes = {(layer.get("head_dim"), layer.get("num_key_value_heads")) for layer in by_layer.values()}
        if len(sizes) > 1:
            raise ConfigError(
                f"config.json gives its global layers different heads: {sorted(sizes, key=str)}. "
                "This decoder needs the same in all of them."
            )
        head_dim, kv_heads = sizes.pop()
    else:
        head_dim = values["global_head_dim"]
        kv_heads = values.get("num_global_key_value_heads") if values["attention_k_eq_v"] else None
    return {"global_head_dim": head_dim, "global_kv_heads": kv_heads}


GLOBAL_HEADS = Conversion(
    _read_global_heads,
    lambda config: {
        "global_head_dim": config.global_head_dim or config.head_dim,
        "num_global_key_value_heads": config.global_kv_heads,
    },
)


def _read_per_layer_embedding(values: Values) -> Values:
    width = values["hidden_size_per_layer_input"] or None
    rows = values.get("vocab_size_per_layer_input") or values["vocab_size"]
    if width and rows != values["vocab_size"]:
        raise ConfigError(
            f"config.json has vocab_size_per_layer_input={rows} and vocab_size={values['vocab_size']}. "
            "This decoder needs one vocabulary for both."
        )
    return {"per_layer_embed_dim": width}


PER_LAYER_EMBEDDING = Conversion(
    _read_per_layer_embedding,
    lambda config: {
        "hidden_size_per_layer_input": config.per_layer_embed_dim or 0,
        "vocab_size_per_layer_input": config.vocab_size,
    },
)
DOUBLE_WIDE = Conversion(
    lambda values: {"shared_kv_ffn_dim": 2 * values["intermediate_size"] if values["use_double_wide_mlp"] else None},
    lambda config: {"use_double_wide_mlp": config.shared_kv_ffn_dim == 2 * config.ffn_dim},
)
EXPERT_KEYS = {
    "moe.num_experts": "num_experts",
    "moe.experts_per_token": "top_k_experts",
    "moe.expert_dim": "moe_intermediate_size",
}


def _read_experts(values: Values) -> Values:
    if not values["enable_moe_block"]:
        return {}
    constants = {"moe.router_norm": True, "moe.per_expert_scale": True, "moe.beside_dense": True}
    return constants | {name: values[key] for name, key in EXPERT_KEYS.items()}


def _write_experts(config: ModelConfig) -> Values:
    experts = {key: attrgetter(name)(config) for name, key in EXPERT_KEYS.items()} if config.moe else {}
    return {"enable_moe_block": config.moe is not None} | experts


OPTIONAL_EXPERTS = Conversion(_read_experts, _write_experts)

# --- Weights ---

PER_LAYER_WEIGHTS = [
    *renamed(
        {
            "per_layer_embedding.embedding.weight": "model.embed_tokens_per_layer.weight",
            "per_layer_embedding.projection.weight": "model.per_layer_model_projection.weight",
            "per_layer_embedding.norm.weight": "model.per_layer_projection_norm.weight",
        }
    ),
    *in_layers(
        {
            "per_layer_gate.gate.weight": "per_layer_input_gate.weight",
            "per_layer_gate.output.weight": "per_layer_projection.weight",
            "per_layer_gate.output_norm.weight": "post_per_layer_input_norm.weight",
        }
    ),
]
EXPERT_WEIGHTS = [
    *in_layers(
        {
            "feed_forward.dense_norm.weight": "pre_feedforward_layernorm.weight",
            "feed_forward.dense_output_norm.weight": "post_feedforward_layernorm_1.weight",
            "feed_forward.experts_norm.weight": "pre_feedforward_layernorm_2.weight",
            "feed_forward.experts_output_norm.weight": "post_feedforward_layernorm_2.weight",
            "feed_forward.experts.router.weight": "router.proj.weight",
            "feed_forward.experts.router.scale": "router.scale",
            "feed_forward.experts.router.expert_scale": "router.per_expert_scale",
        }
        | weight_and_bias(MLP, "feed_forward.dense", "mlp")
    ),
    *stacked_experts("feed_forward.experts.experts", "experts"),
]
LAYER_SCALE = in_layers({"scale": "layer_scalar"})

# --- The family ---

SMALL: Values = {
    "vocab_size": 262_144,
    "max_position_embeddings": 131_072,
    "sliding_window": 512,
    "hidden_size_per_layer_input": 256,
    "final_logit_softcapping": 30.0,
}
LARGE = SMALL | {
    "max_position_embeddings": 262_144,
    "sliding_window": 1024,
    "hidden_size_per_layer_input": 0,
    "attention_k_eq_v": True,
}
A4B: Values = {
    "enable_moe_block": True,
    "num_experts": 128,
    "top_k_experts": 8,
    "moe_intermediate_size": 704,
}

GEMMA4 = Family(
    model_type="gemma4_text",
    architecture="Gemma4ForCausalLM",
    sizes={
        # layers, heads, key/value heads, head_dim, embed_dim, ffn_dim
        "gemma-4-e2b": SMALL
        | sizes(35, 8, 1, 256, 1536, 6144, sliding_window_pattern=5)
        | {"num_kv_shared_layers": 20, "use_double_wide_mlp": True},
        "gemma-4-e4b": SMALL | sizes(42, 8, 2, 256, 2560, 10_240, num_kv_shared_layers=18),
        "gemma-4-26b-a4b": LARGE | A4B | sizes(30, 16, 8, 256, 2816, 2112, num_global_key_value_heads=2),
        "gemma-4-31b": LARGE | sizes(60, 32, 16, 256, 5376, 21_504, num_global_key_value_heads=4),
    },
    keys=KEYS
    | {
        "final_softcap": "final_logit_softcapping",
        "global_values_are_keys": "attention_k_eq_v",
        "shared_kv_layers": "num_kv_shared_layers",
    },
    conversions=[
        *COMMON,
        TWO_ROPES,
        ACTIVATION,
        layer_types(last_is_global_too),
        GLOBAL_HEADS,
        PER_LAYER_EMBEDDING,
        DOUBLE_WIDE,
        OPTIONAL_EXPERTS,
    ],
    constants={
        "norm_placement": "sandwich",
        "qk_norm": "head",
        "value_norm": True,
        "query_scale": 1.0,
        "layer_scale": True,
    },
    defaults=GEMMA_DEFAULTS
    | {
        "sliding_window": 512,
        "sliding_window_pattern": 6,
        "final_logit_softcapping": None,
        "rope_parameters": {
            "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25},
            "sliding_attention": {"rope_type": "default"},
        },
        "rope_theta": 1_000_000.0,
        "rope_local_base_freq": 10_000.0,
        "global_head_dim": 512,
        "attention_k_eq_v": False,
        "hidden_size_per_layer_input": 256,
        "vocab_size_per_layer_input": 262_144,
        "num_kv_shared_layers": 0,
        "use_double_wide_mlp": False,
        "enable_moe_block": False,
    },
    weights=GEMMA2_WEIGHTS + QK_NORMS + LAYER_SCALE + PER_LAYER_WEIGHTS + EXPERT_WEIGHTS,
    unused=UNUSED,
    multimodal_type="gemma4",
)
