"""The published families, one :class:`Dialect` each.

Source: the configuration files of transformers 5.23.0.
"""

from gemini_workshop.models.huggingface import aspects, rope
from gemini_workshop.models.huggingface.dialect import Dialect, Values

LLAMA_FIELDS = {
    "vocab_size": "vocab_size",
    "context_tokens": "max_position_embeddings",
    "embed_dim": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "ffn_dim": "intermediate_size",
    "norm_eps": "rms_norm_eps",
    "tied_head": "tie_word_embeddings",
}
LLAMA_DEFAULTS: Values = {
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "rope_theta": 10_000.0,
    "hidden_act": "silu",
}
GEMMA_DEFAULTS = LLAMA_DEFAULTS | {"tie_word_embeddings": True, "head_dim": 256}
GEMMA: Values = {"norm": "rms_offset"}
SANDWICH: Values = {"norm": "rms_offset", "norm_placement": "sandwich"}
NO_BIDIRECTIONAL = {"use_bidirectional_attention": None}
COMMON = (aspects.ATTENTION_BIAS, aspects.HEADS)
MOE_FIELDS = {"experts_per_token": "num_experts_per_tok"}

DIALECTS = {
    dialect.model_type: dialect
    for dialect in (
        Dialect(
            model_type="gpt2",
            architecture="GPT2LMHeadModel",
            fields={
                "vocab_size": "vocab_size",
                "context_tokens": "n_positions",
                "embed_dim": "n_embd",
                "num_layers": "n_layer",
                "num_heads": "n_head",
                "norm_eps": "layer_norm_epsilon",
                "tied_head": "tie_word_embeddings",
            },
            aspects=(aspects.GPT2_SIZES, aspects.activation("activation_function")),
            constants={
                "positions": "learned",
                "norm": "layer",
                "gated": False,
                **dict.fromkeys(("qkv_bias", "output_bias", "feed_forward_bias"), True),
            },
            required={"scale_attn_weights": True, "add_cross_attention": False},
            defaults={
                "layer_norm_epsilon": 1e-5,
                "tie_word_embeddings": True,
                "activation_function": "gelu_new",
                "n_inner": None,
                "scale_attn_by_inverse_layer_idx": False,
            },
            parts=(),
        ),
        Dialect(
            model_type="llama",
            architecture="LlamaForCausalLM",
            fields=LLAMA_FIELDS | {"feed_forward_bias": "mlp_bias"},
            aspects=(*COMMON, rope.ROPE, aspects.activation("hidden_act")),
            defaults=LLAMA_DEFAULTS | {"mlp_bias": False},
        ),
        Dialect(
            model_type="qwen3",
            architecture="Qwen3ForCausalLM",
            fields=LLAMA_FIELDS,
            aspects=(
                *(*COMMON, rope.ROPE, aspects.activation("hidden_act")),
                *(aspects.layer_kinds(aspects.later_are_local), aspects.USES_WINDOW),
            ),
            constants={"qk_norm": "head"},
            defaults=LLAMA_DEFAULTS
            | {"head_dim": 128, "use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28},
        ),
        Dialect(
            model_type="gemma",
            architecture="GemmaForCausalLM",
            fields=LLAMA_FIELDS,
            # The first release wrote "gelu" and meant the tanh form.
            aspects=(
                *(*COMMON, rope.ROPE, aspects.SCALED_EMBEDDING),
                aspects.activation("hidden_act", legacy={"gelu": "gelu_pytorch_tanh"}),
            ),
            constants=GEMMA,
            required=NO_BIDIRECTIONAL,
            defaults=GEMMA_DEFAULTS | {"hidden_act": "gelu_pytorch_tanh"},
        ),
        Dialect(
            model_type="gemma2",
            architecture="Gemma2ForCausalLM",
            fields=LLAMA_FIELDS
            | {"final_softcap": "final_logit_softcapping", "attention_softcap": "attn_logit_softcapping"},
            aspects=(
                *(*COMMON, rope.ROPE, aspects.SCALED_EMBEDDING, aspects.QUERY_SCALAR),
                *(aspects.activation("hidden_activation"), aspects.layer_kinds(aspects.every_nth_is_global)),
            ),
            constants=SANDWICH,
            required=NO_BIDIRECTIONAL,
            defaults=GEMMA_DEFAULTS
            | {
                "hidden_activation": "gelu_pytorch_tanh",
                "query_pre_attn_scalar": 256,
                "sliding_window": 4096,
                "sliding_window_pattern": 2,
                "final_logit_softcapping": 30.0,
                "attn_logit_softcapping": 50.0,
            },
        ),
        Dialect(
            model_type="gemma3_text",
            architecture="Gemma3ForCausalLM",
            fields=LLAMA_FIELDS | {"final_softcap": "final_logit_softcapping"},
            aspects=(
                *(*COMMON, rope.ROPE_BY_KIND, aspects.SCALED_EMBEDDING, aspects.QUERY_SCALAR),
                *(aspects.activation("hidden_activation"), aspects.layer_kinds(aspects.every_nth_is_global)),
            ),
            constants=SANDWICH | {"qk_norm": "head"},
            required={"use_bidirectional_attention": False},
            defaults=GEMMA_DEFAULTS
            | {
                # The multimodal releases leave out whatever equals these.
                "vocab_size": 262_208,
                "hidden_size": 2304,
                "intermediate_size": 9216,
                "num_hidden_layers": 26,
                "num_attention_heads": 8,
                "num_key_value_heads": 4,
                "max_position_embeddings": 131_072,
                "hidden_activation": "gelu_pytorch_tanh",
                "query_pre_attn_scalar": 256,
                "sliding_window": 4096,
                "sliding_window_pattern": 6,
                "final_logit_softcapping": None,
                "rope_theta": 1_000_000.0,
                "rope_local_base_freq": 10_000.0,
            },
            aliases={"_sliding_window_pattern": "sliding_window_pattern"},
        ),
        Dialect(
            model_type="gemma4_text",
            architecture="Gemma4ForCausalLM",
            fields=LLAMA_FIELDS
            | {
                "final_softcap": "final_logit_softcapping",
                "global_values_are_keys": "attention_k_eq_v",
                "shared_kv_layers": "num_kv_shared_layers",
            },
            aspects=(
                *(*COMMON, rope.ROPE_BY_KIND, aspects.SCALED_EMBEDDING, aspects.activation("hidden_activation")),
                *(aspects.layer_kinds(aspects.last_is_global_too), aspects.GLOBAL_HEADS),
                *(aspects.PER_LAYER_EMBEDDING, aspects.DOUBLE_WIDE),
                aspects.optional_experts(
                    aspects.experts(
                        {
                            "num_experts": "num_experts",
                            "experts_per_token": "top_k_experts",
                            "expert_dim": "moe_intermediate_size",
                        },
                        {"router_norm": True, "per_expert_scale": True, "beside_dense": True},
                    )
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
                "hidden_activation": "gelu_pytorch_tanh",
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
        ),
        Dialect(
            model_type="mixtral",
            architecture="MixtralForCausalLM",
            fields=LLAMA_FIELDS,
            aspects=(
                *(aspects.HEADS, rope.ROPE, aspects.activation("hidden_act"), aspects.WINDOW_EVERYWHERE),
                aspects.experts(
                    MOE_FIELDS | {"num_experts": "num_local_experts", "expert_dim": "intermediate_size"}, {}
                ),
            ),
            defaults=LLAMA_DEFAULTS
            | {"rms_norm_eps": 1e-5, "rope_theta": 1e6, "use_sliding_window": True, "sliding_window": None},
            parts=("rope", "moe"),
        ),
        Dialect(
            model_type="qwen3_moe",
            architecture="Qwen3MoeForCausalLM",
            fields=LLAMA_FIELDS,
            aspects=(
                *(*COMMON, rope.ROPE, aspects.activation("hidden_act"), aspects.WINDOW_EVERYWHERE, aspects.USES_WINDOW),
                aspects.experts(
                    MOE_FIELDS
                    | {
                        "num_experts": "num_experts",
                        "expert_dim": "moe_intermediate_size",
                        "renormalize": "norm_topk_prob",
                    },
                    {},
                    aspects.LISTED_DENSE_LAYERS,
                ),
            ),
            constants={"qk_norm": "head"},
            defaults=LLAMA_DEFAULTS
            | {
                "use_sliding_window": False,
                "sliding_window": 4096,
                "norm_topk_prob": False,
                "mlp_only_layers": None,
                "decoder_sparse_step": 1,
            },
            aliases={"num_local_experts": "num_experts"},
            parts=("rope", "moe"),
        ),
        Dialect(
            model_type="olmoe",
            architecture="OlmoeForCausalLM",
            fields=LLAMA_FIELDS,
            aspects=(
                *(*COMMON, rope.ROPE, aspects.activation("hidden_act")),
                aspects.experts(
                    MOE_FIELDS
                    | {
                        "num_experts": "num_experts",
                        "expert_dim": "intermediate_size",
                        "renormalize": "norm_topk_prob",
                    },
                    {},
                ),
            ),
            constants={"qk_norm": "all_heads"},
            required={"clip_qkv": None},
            defaults=LLAMA_DEFAULTS | {"rms_norm_eps": 1e-5, "norm_topk_prob": False},
            aliases={"num_local_experts": "num_experts"},
            parts=("rope", "moe"),
        ),
        Dialect(
            model_type="gpt_oss",
            architecture="GptOssForCausalLM",
            fields=LLAMA_FIELDS,
            aspects=(
                *(*COMMON, rope.ROPE, aspects.layer_kinds(aspects.every_nth_is_global)),
                aspects.experts(
                    MOE_FIELDS | {"num_experts": "num_local_experts", "expert_dim": "intermediate_size"},
                    {"scoring": "softmax_of_chosen", "router_bias": True, "expert_bias": True},
                ),
            ),
            constants={"attention_sinks": True, "activation": "silu"},
            required={"swiglu_alpha": 1.702, "swiglu_limit": 7.0, "hidden_act": "silu"},
            defaults=LLAMA_DEFAULTS
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
            parts=("rope", "moe"),
        ),
        *(
            Dialect(
                model_type=model_type,
                architecture=architecture,
                fields=LLAMA_FIELDS,
                aspects=(
                    *(aspects.LATENT_ATTENTION, rope.LATENT_ROPE, aspects.activation("hidden_act")),
                    aspects.experts(
                        MOE_FIELDS
                        | {
                            "num_experts": "n_routed_experts",
                            "expert_dim": "moe_intermediate_size",
                            "shared_experts": "n_shared_experts",
                            "routed_scale": "routed_scaling_factor",
                        }
                        | fields,
                        constants,
                        aspects.FIRST_LAYERS_DENSE,
                        *more,
                    ),
                ),
                required={"attention_bias": False, "mlp_bias": False},
                defaults=LLAMA_DEFAULTS | defaults,
                aliases={"num_experts": "n_routed_experts", "num_local_experts": "n_routed_experts"},
                parts=("rope", "moe", "latent"),
            )
            for model_type, architecture, fields, constants, more, defaults in (
                (
                    "deepseek_v2",
                    "DeepseekV2ForCausalLM",
                    {},
                    {"renormalize": False, "group_score": "max"},
                    (aspects.GREEDY_GROUPS,),
                    {"rope_interleave": True, "topk_method": "greedy", "first_k_dense_replace": 0}
                    | {"routed_scaling_factor": 1.0, "q_lora_rank": 1536},
                ),
                (
                    "deepseek_v3",
                    "DeepseekV3ForCausalLM",
                    {"renormalize": "norm_topk_prob", "num_groups": "n_group", "kept_groups": "topk_group"},
                    {"scoring": "sigmoid", "selection_bias": True, "group_score": "top2_sum"},
                    (),
                    {"rope_interleave": True, "norm_topk_prob": True, "first_k_dense_replace": 3},
                ),
            )
        ),
    )
}
