"""Gemma 1, 2 and 3: scaled embeddings, norm weights stored as offsets from 1, GeGLU, heads wider than width / heads.

Gemma 2 has norms before and after each sublayer, a window in every second layer, bounded scores and logits. Gemma 3 has
five local layers for each global one, norms of queries and keys, another base for local layers; its large models are
extended eightfold.

Source: Gemma Team 2024, arXiv:2403.08295 (Gemma 1) and arXiv:2408.00118 (Gemma 2), section 2; 2025, arXiv:2503.19786
(Gemma 3), section 2; sizes from google-deepmind/gemma; the configuration and modeling files of transformers 5.23.0.
"""

from gemini_workshop.config import ModelConfig
from gemini_workshop.errors import ConfigError
from gemini_workshop.models.families.conversions import (
    ATTENTION_BIAS,
    HEADS,
    activation,
    every_nth_is_global,
    layer_types,
)
from gemini_workshop.models.families.engine import Conversion, Family, Values
from gemini_workshop.models.families.llama import ATTENTION, DEFAULTS, EMBEDDINGS, FEED_FORWARD, KEYS, WEIGHTS, sizes
from gemini_workshop.models.families.names import QK_NORMS, in_layers
from gemini_workshop.models.families.rope import ROPE, older_keys, read_rope, write_rope

# --- config.json ---

SCALED_EMBEDDING = Conversion(lambda values: {"embedding_scale": values["hidden_size"] ** 0.5}, lambda _: {})
QUERY_SCALE = Conversion(
    lambda values: {"query_scale": values["query_pre_attn_scalar"] ** -0.5},
    lambda config: {"query_pre_attn_scalar": round(config.layers[0].query_scale ** -2)},
)


def _read_direction(values: Values) -> Values:
    """Text must not look ahead; "vision" only concerns images, which the decoder does not read."""
    if (kind := values.get("use_bidirectional_attention")) not in (None, False, "vision"):
        raise ConfigError(
            f"config.json has use_bidirectional_attention={kind!r}; this decoder never looks ahead. "
            "Choose a model that generates text."
        )
    return {}


CAUSAL = Conversion(_read_direction, lambda _: {})


def _read_two_ropes(values: Values) -> Values:
    nested = values.get("rope_parameters") or {}
    full = {"rope_theta": values["rope_theta"]} | (values.get("rope_scaling") or {}) | nested.get("full_attention", {})
    local = {"rope_theta": values["rope_local_base_freq"]} | nested.get("sliding_attention", {})
    context = values["max_position_embeddings"]
    return {"rope": read_rope(full, context), "local_rope": read_rope(local, context)}


def _write_two_ropes(config: ModelConfig) -> Values:
    local = write_rope(config.local_rope or config.rope)
    parameters = {"full_attention": write_rope(config.rope), "sliding_attention": local}
    return {"rope_parameters": parameters}


# Global and local layers turn in different ways.
TWO_ROPES = Conversion(_read_two_ropes, _write_two_ropes)


def _older_keys_of_gemma3(config: ModelConfig) -> Values:
    """For transformers 4: the bases by themselves, and every how many layers one is global."""
    local = write_rope(config.local_rope or config.rope)["rope_theta"]
    periods = range(1, config.num_layers + 2)
    kinds = [layer.window_tokens is None for layer in config.layers]
    fitting = [n for n in periods if kinds == [(i + 1) % n == 0 for i in range(config.num_layers)]]
    pattern = {"sliding_window_pattern": fitting[0]} if fitting else {}
    return older_keys(write_rope(config.rope)) | {"rope_local_base_freq": local} | pattern


OLDER_KEYS = Conversion(lambda _: {}, _older_keys_of_gemma3)

COMMON = [HEADS, ATTENTION_BIAS, SCALED_EMBEDDING, CAUSAL]
ACTIVATION = activation("hidden_activation")
LAYER_TYPES = layer_types(every_nth_is_global)
GEMMA_DEFAULTS = DEFAULTS | {
    "tie_word_embeddings": True,
    "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh",
}

# --- Weights ---

SANDWICH_NORMS = in_layers(
    {
        "attention_norm.weight": "input_layernorm.weight",
        "attention_output_norm.weight": "post_attention_layernorm.weight",
        "feed_forward_norm.weight": "pre_feedforward_layernorm.weight",
        "feed_forward_output_norm.weight": "post_feedforward_layernorm.weight",
    }
)
GEMMA2_WEIGHTS = EMBEDDINGS + ATTENTION + FEED_FORWARD + SANDWICH_NORMS
TOWERS = r"^(vision_tower|multi_modal_projector|audio_tower|embed_vision|embed_audio|vision_embedder)\."
UNUSED = (r"\.rotary_emb\.inv_freq$", TOWERS)

# --- The families ---

GEMMA1_SIZE: Values = {"vocab_size": 256_000, "max_position_embeddings": 8192}
GEMMA3_SMALL: Values = {"vocab_size": 262_144, "max_position_embeddings": 32_768, "sliding_window": 512}
GEMMA3_LARGE: Values = {
    "vocab_size": 262_208,
    "max_position_embeddings": 131_072,
    "sliding_window": 1024,
    "rope_scaling": {"rope_type": "linear", "factor": 8.0},
}

GEMMA = Family(
    model_type="gemma",
    architecture="GemmaForCausalLM",
    sizes={
        # layers, heads, key/value heads, head_dim, embed_dim, ffn_dim
        "gemma-2b": GEMMA1_SIZE | sizes(18, 8, 1, 256, 2048, 16_384),
        "gemma-7b": GEMMA1_SIZE | sizes(28, 16, 16, 256, 3072, 24_576),
    },
    keys=KEYS,
    # The first release wrote "gelu" and meant the tanh form.
    conversions=[*COMMON, ROPE, activation("hidden_act", legacy={"gelu": "gelu_pytorch_tanh"})],
    constants={"norm": "rms_offset"},
    defaults=GEMMA_DEFAULTS,
    weights=WEIGHTS,
)
GEMMA2 = Family(
    model_type="gemma2",
    architecture="Gemma2ForCausalLM",
    sizes={
        "gemma-2-2b": GEMMA1_SIZE | sizes(26, 8, 4, 256, 2304, 9216),
        "gemma-2-9b": GEMMA1_SIZE | sizes(42, 16, 8, 256, 3584, 14_336),
        "gemma-2-27b": GEMMA1_SIZE | sizes(46, 32, 16, 128, 4608, 36_864, query_pre_attn_scalar=144),
    },
    keys=KEYS | {"final_softcap": "final_logit_softcapping", "attention_softcap": "attn_logit_softcapping"},
    conversions=[*COMMON, ROPE, QUERY_SCALE, ACTIVATION, LAYER_TYPES],
    constants={"norm": "rms_offset", "norm_placement": "sandwich"},
    defaults=GEMMA_DEFAULTS
    | {
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
        "sliding_window_pattern": 2,
        "final_logit_softcapping": 30.0,
        "attn_logit_softcapping": 50.0,
    },
    whole_heads=True,
    weights=GEMMA2_WEIGHTS,
)
GEMMA3 = Family(
    model_type="gemma3_text",
    architecture="Gemma3ForCausalLM",
    sizes={
        "gemma-3-270m": GEMMA3_SMALL | sizes(18, 4, 1, 256, 640, 2048),
        "gemma-3-1b": GEMMA3_SMALL | sizes(26, 4, 1, 256, 1152, 6912),
        "gemma-3-4b": GEMMA3_LARGE | sizes(34, 8, 4, 256, 2560, 10_240),
        "gemma-3-12b": GEMMA3_LARGE | sizes(48, 16, 8, 256, 3840, 15_360),
        "gemma-3-27b": GEMMA3_LARGE | sizes(62, 32, 16, 128, 5376, 21_504, query_pre_attn_scalar=168),
    },
    keys=KEYS | {"final_softcap": "final_logit_softcapping"},
    conversions=[*COMMON, TWO_ROPES, OLDER_KEYS, QUERY_SCALE, ACTIVATION, LAYER_TYPES],
    constants={"norm": "rms_offset", "norm_placement": "sandwich", "qk_norm": "head"},
    defaults=GEMMA_DEFAULTS
    | {
        # The multimodal releases leave out whatever equals these sizes.
        "vocab_size": 262_208,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": 131_072,
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
        "sliding_window_pattern": 6,
        "final_logit_softcapping": None,
        "rope_theta": 1_000_000.0,
        "rope_local_base_freq": 10_000.0,
    },
    aliases={"_sliding_window_pattern": "sliding_window_pattern"},
    whole_heads=True,
    weights=GEMMA2_WEIGHTS + QK_NORMS,
    unused=UNUSED,
    multimodal_type="gemma3",
)
