"""The families with experts, one :class:`Dialect` each. Gemma 4 is here, of which some models have them.

Source: the configuration files of transformers 5.23.0, from which the defaults are.
"""

from gemini_workshop.models.huggingface import aspects, rope
from gemini_workshop.models.huggingface.dense_families import (
    DEFAULTS,
    FIELDS,
    GEMMA_ASPECTS,
    GEMMA_DEFAULTS,
    HEADS,
    SILU,
)
from gemini_workshop.models.huggingface.dialect import Dialect

CHOSEN = {"experts_per_token": "num_experts_per_tok"}
MOE = ("rope", "moe")

GEMMA4 = Dialect(
    model_type="gemma4_text",
    architecture="Gemma4ForCausalLM",
    fields=FIELDS
    | {
        "final_softcap": "final_logit_softcapping",
        "global_values_are_keys": "attention_k_eq_v",
        "shared_kv_layers": "num_kv_shared_layers",
    },
    aspects=(
        *(*GEMMA_ASPECTS, rope.ROPE_BY_KIND, aspects.activation("hidden_activation")),
        *(aspects.layer_kinds(aspects.last_is_global_too), aspects.GLOBAL_HEADS),
        *(aspects.PER_LAYER_EMBEDDING, aspects.DOUBLE_WIDE),
        aspects.optional_experts(
            {"num_experts": "num_experts", "experts_per_token": "top_k_experts", "expert_dim": "moe_intermediate_size"},
            {"router_norm": True, "per_expert_scale": True, "beside_dense": True},
        ),
    ),
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
)
MIXTRAL = Dialect(
    model_type="mixtral",
    architecture="MixtralForCausalLM",
    fields=FIELDS,
    aspects=(
        *(aspects.HEADS, rope.ROPE, SILU, aspects.WINDOW_EVERYWHERE),
        aspects.experts(CHOSEN | {"num_experts": "num_local_experts", "expert_dim": "intermediate_size"}),
    ),
    defaults=DEFAULTS
    | {"rms_norm_eps": 1e-5, "rope_theta": 1_000_000.0, "use_sliding_window": True, "sliding_window": None},
    parts=MOE,
)
QWEN3_MOE = Dialect(
    model_type="qwen3_moe",
    architecture="Qwen3MoeForCausalLM",
    fields=FIELDS,
    aspects=(
        *(*HEADS, rope.ROPE, SILU, aspects.WINDOW_EVERYWHERE, aspects.USES_WINDOW),
        aspects.experts(
            CHOSEN
            | {"num_experts": "num_experts", "expert_dim": "moe_intermediate_size", "renormalize": "norm_topk_prob"},
            {},
            aspects.LISTED_DENSE_LAYERS,
        ),
    ),
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
    parts=MOE,
)
OLMOE = Dialect(
    model_type="olmoe",
    architecture="OlmoeForCausalLM",
    fields=FIELDS,
    aspects=(
        *(*HEADS, rope.ROPE, SILU),
        aspects.experts(
            CHOSEN | {"num_experts": "num_experts", "expert_dim": "intermediate_size", "renormalize": "norm_topk_prob"}
        ),
    ),
    constants={"qk_norm": "all_heads"},
    required={"clip_qkv": None},
    defaults=DEFAULTS | {"rms_norm_eps": 1e-5, "norm_topk_prob": False},
    aliases={"num_local_experts": "num_experts"},
    parts=MOE,
)
GPT_OSS = Dialect(
    model_type="gpt_oss",
    architecture="GptOssForCausalLM",
    fields=FIELDS,
    aspects=(
        *(*HEADS, rope.ROPE, aspects.layer_kinds(aspects.every_nth_is_global)),
        aspects.experts(
            CHOSEN | {"num_experts": "num_local_experts", "expert_dim": "intermediate_size"},
            {"scoring": "softmax_of_chosen", "router_bias": True, "expert_bias": True},
        ),
    ),
    constants={"attention_sinks": True, "activation": "silu"},
    required={"swiglu_alpha": 1.702, "swiglu_limit": 7.0, "hidden_act": "silu"},
    defaults=DEFAULTS
    | {
        "rms_norm_eps": 1e-5,
        "attention_bias": True,
        "head_dim": 64,
        "rope_theta": 150_000.0,
        "rope_parameters": {
            "rope_type": "yarn",
            "factor": 32.0,
            "truncate": False,
            "original_max_position_embeddings": 4096,
        },
        "sliding_window": 128,
        "sliding_window_pattern": 2,
    },
    aliases={"num_experts": "num_local_experts"},
    parts=MOE,
)

DEEPSEEK_ASPECTS = (aspects.LATENT_ATTENTION, rope.LATENT_ROPE, SILU)
DEEPSEEK_EXPERTS = CHOSEN | {
    "num_experts": "n_routed_experts",
    "expert_dim": "moe_intermediate_size",
    "shared_experts": "n_shared_experts",
    "routed_scale": "routed_scaling_factor",
}
DEEPSEEK_V2 = Dialect(
    model_type="deepseek_v2",
    architecture="DeepseekV2ForCausalLM",
    width_in_heads=True,
    fields=FIELDS,
    aspects=(
        *DEEPSEEK_ASPECTS,
        aspects.experts(
            DEEPSEEK_EXPERTS,
            {"renormalize": False, "group_score": "max"},
            aspects.FIRST_LAYERS_DENSE,
            aspects.GREEDY_GROUPS,
        ),
    ),
    required={"attention_bias": False, "mlp_bias": False},
    defaults=DEFAULTS
    | {
        "rope_interleave": True,
        "topk_method": "greedy",
        "first_k_dense_replace": 0,
        "routed_scaling_factor": 1.0,
        "q_lora_rank": 1536,
    },
    aliases={"num_experts": "n_routed_experts"},
    parts=(*MOE, "latent"),
)
DEEPSEEK_V3 = Dialect(
    model_type="deepseek_v3",
    architecture="DeepseekV3ForCausalLM",
    fields=FIELDS,
    aspects=(
        *DEEPSEEK_ASPECTS,
        aspects.NO_EXTRA_PREDICTIONS,
        aspects.experts(
            DEEPSEEK_EXPERTS | {"renormalize": "norm_topk_prob", "num_groups": "n_group", "kept_groups": "topk_group"},
            {"scoring": "sigmoid", "selection_bias": True, "group_score": "top2_sum"},
            aspects.FIRST_LAYERS_DENSE,
        ),
    ),
    required={"attention_bias": False},
    defaults=DEFAULTS
    | {
        "rope_interleave": True,
        "norm_topk_prob": True,
        "first_k_dense_replace": 3,
        "routed_scaling_factor": 2.5,
        "q_lora_rank": 1536,
        "n_group": 8,
        "topk_group": 4,
    },
    aliases={"num_local_experts": "n_routed_experts", "num_experts": "n_routed_experts"},
    parts=(*MOE, "latent"),
)
