"""gpt-oss: attention sinks, every second layer local, experts with biases and clamped gates.

Source: OpenAI 2025, arXiv:2508.10925, section 2; GptOssConfig and modeling_gpt_oss.py of transformers 5.23.0.
"""

from gemini_workshop.models.families.conversions import ATTENTION_BIAS, HEADS, every_nth_is_global, layer_types
from gemini_workshop.models.families.engine import Family, Values
from gemini_workshop.models.families.llama import ATTENTION, DEFAULTS, EMBEDDINGS, KEYS, NORMS, sizes
from gemini_workshop.models.families.names import (
    INTERLEAVED,
    INTERLEAVED_TRANSPOSED,
    TRANSPOSED,
    in_layers,
    weight_and_bias,
)
from gemini_workshop.models.families.rope import ROPE

# gate and up alternate, and the matrices are transposed
EXPERTS = [
    *in_layers(weight_and_bias({"router": "router"}, "feed_forward", "mlp")),
    *in_layers({"feed_forward.experts.gate_up": "mlp.experts.gate_up_proj"}, INTERLEAVED_TRANSPOSED),
    *in_layers({"feed_forward.experts.gate_up_bias": "mlp.experts.gate_up_proj_bias"}, INTERLEAVED),
    *in_layers({"feed_forward.experts.down": "mlp.experts.down_proj"}, TRANSPOSED),
    *in_layers({"feed_forward.experts.down_bias": "mlp.experts.down_proj_bias"}),
]


def _size(num_layers: int, num_experts: int) -> Values:
    experts = {"num_local_experts": num_experts, "num_experts_per_tok": 4}
    common = {"vocab_size": 201_088, "max_position_embeddings": 131_072}
    return sizes(num_layers, 64, 8, 64, 2880, 2880) | experts | common


GPT_OSS = Family(
    model_type="gpt_oss",
    architecture="GptOssForCausalLM",
    sizes={"gpt-oss-20b": _size(24, 32), "gpt-oss-120b": _size(36, 128)},
    keys=KEYS
    | {
        "moe.num_experts": "num_local_experts",
        "moe.experts_per_token": "num_experts_per_tok",
        "moe.expert_dim": "intermediate_size",
    },
    conversions=[HEADS, ATTENTION_BIAS, ROPE, layer_types(every_nth_is_global)],
    constants={
        "attention_sinks": True,
        "activation": "silu",
        "moe.scoring": "softmax_of_chosen",
        "moe.router_bias": True,
        "moe.expert_bias": True,
    },
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
    weights=EMBEDDINGS + ATTENTION + in_layers({"attention.sinks": "self_attn.sinks"}) + NORMS + EXPERTS,
)
