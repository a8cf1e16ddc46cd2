"""DeepSeek-V2 and V3: latent attention, shared experts, the first layers dense.

Source: DeepSeek-AI 2024, arXiv:2405.04434 (V2), section 2; arXiv:2412.19437 (V3), section 2.1; DeepseekV2Config,
DeepseekV3Config and their modeling files of transformers 5.23.0.
"""

import math
from typing import Any

from gemini_workshop.config import ModelConfig, MoEConfig, RotaryConfig
from gemini_workshop.errors import ConfigError, unknown_name
from gemini_workshop.models.families.conversions import SILU
from gemini_workshop.models.families.engine import Conversion, Family, Values
from gemini_workshop.models.families.llama import DEFAULTS, EMBEDDINGS, FEED_FORWARD, KEYS, MLP, NORMS
from gemini_workshop.models.families.names import ROUTER_AND_EXPERTS, WeightName, in_layers, weight_and_bias
from gemini_workshop.models.families.rope import flat_parameters, older_keys, read_rope, write_rope
from gemini_workshop.models.rotary_scaling import yarn_magnitude

# --- config.json ---

LATENT_HEADS = Conversion(
    lambda values: {
        "head_dim": values["qk_nope_head_dim"] + values["qk_rope_head_dim"],
        "num_kv_heads": values["num_attention_heads"],
    },
    lambda config: {"num_key_value_heads": config.num_heads},
)


def _read_rope(values: Values) -> Values:
    """Pairs are neighbours; YaRN also sharpens the scores, by the square of its magnitude."""
    parameters = flat_parameters(values)
    rope = read_rope(parameters, values["max_position_embeddings"])
    layout = "interleaved" if values["rope_interleave"] else "half"
    fields: Values = {"rope": RotaryConfig.from_dict(rope.to_dict() | {"layout": layout})}
    weight = parameters.get("mscale_all_dim")
    if weight and rope.scaling != "none":
        head_dim = values["qk_nope_head_dim"] + values["qk_rope_head_dim"]
        fields["query_scale"] = head_dim**-0.5 * yarn_magnitude(rope.factor, weight) ** 2
    return fields


def _write_rope(config: ModelConfig) -> Values:
    parameters = write_rope(config.rope)
    sharper = config.layers[0].query_scale * config.head_dim**0.5
    if sharper != 1 and config.rope is not None and config.rope.factor > 1:
        parameters["mscale_all_dim"] = (sharper**0.5 - 1) / (0.1 * math.log(config.rope.factor))
    interleave = config.rope is not None and config.rope.layout == "interleaved"
    return {"rope_parameters": parameters, "rope_interleave": interleave} | older_keys(parameters)


LATENT_ROPE = Conversion(_read_rope, _write_rope)


def _moe(config: ModelConfig) -> MoEConfig:
    assert config.moe is not None
    return config.moe


FIRST_LAYERS_DENSE = Conversion(
    lambda values: {"moe.dense_layers": tuple(range(values["first_k_dense_replace"]))},
    lambda config: {"first_k_dense_replace": len(_moe(config).dense_layers)},
)


def _read_groups(values: Values) -> Values:
    method = values["topk_method"]
    if method not in ("greedy", "group_limited_greedy"):
        raise ConfigError(unknown_name("topk_method", str(method), ("greedy", "group_limited_greedy")))
    if method == "greedy":
        return {}
    return {"moe.num_groups": values["n_group"], "moe.kept_groups": values["topk_group"]}


GROUPS = Conversion(
    _read_groups,
    lambda config: {
        "topk_method": "group_limited_greedy" if _moe(config).num_groups > 1 else "greedy",
        "n_group": _moe(config).num_groups,
        "topk_group": _moe(config).kept_groups,
    },
)
# V3 is published with layers that predict several tokens ahead; the decoder does not use them.
PREDICTS_ONE = Conversion(lambda _: {}, lambda _: {"num_nextn_predict_layers": 0})

LATENT_KEYS = KEYS | {
    "latent.kv_rank": "kv_lora_rank",
    "latent.query_rank": "q_lora_rank",
    "latent.content_dim": "qk_nope_head_dim",
    "latent.rope_dim": "qk_rope_head_dim",
    "latent.value_dim": "v_head_dim",
    "moe.num_experts": "n_routed_experts",
    "moe.experts_per_token": "num_experts_per_tok",
    "moe.expert_dim": "moe_intermediate_size",
    "moe.shared_experts": "n_shared_experts",
    "moe.routed_scale": "routed_scaling_factor",
}

# --- Weights ---

LATENT_ATTENTION = weight_and_bias(
    {
        "query": "q_proj",
        "query_down": "q_a_proj",
        "query_down_norm": "q_a_layernorm",
        "query_up": "q_b_proj",
        "latent_down": "kv_a_proj_with_mqa",
        "latent_norm": "kv_a_layernorm",
        "latent_up": "kv_b_proj",
        "output": "o_proj",
    },
    "attention",
    "self_attn",
)
WEIGHTS = [
    *(EMBEDDINGS + NORMS + FEED_FORWARD + ROUTER_AND_EXPERTS),
    *in_layers(LATENT_ATTENTION),
    *in_layers(weight_and_bias(MLP, "feed_forward.shared", "mlp.shared_experts")),
]
# Rounded, it would choose other experts.
SELECTION_BIAS = WeightName(
    ("blocks.{i}.feed_forward.router.selection_bias",),
    ("model.layers.{i}.mlp.gate.e_score_correction_bias",),
    keeps_float32=True,
)

# --- The published models ---


def _size(
    num_layers: int,
    num_heads: int,
    embed_dim: int,
    ffn_dim: int,
    query_rank: int | None,
    yarn_weight: float,
    **more: Any,
) -> Values:
    """``yarn_weight``: YaRN's factor of cosine and sine moves, squared, to the scores as a whole."""
    yarn = {"type": "yarn", "factor": 40.0, "original_max_position_embeddings": 4096}
    return {
        "vocab_size": 102_400,
        "max_position_embeddings": 163_840,
        "num_hidden_layers": num_layers,
        "num_attention_heads": num_heads,
        "hidden_size": embed_dim,
        "intermediate_size": ffn_dim,
        "q_lora_rank": query_rank,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "rope_scaling": yarn | {"mscale": yarn_weight, "mscale_all_dim": yarn_weight},
    } | more


def _experts(number: int, per_token: int, expert_dim: int, shared: int, dense_layers: int) -> Values:
    return {
        "n_routed_experts": number,
        "num_experts_per_tok": per_token,
        "moe_intermediate_size": expert_dim,
        "n_shared_experts": shared,
        "first_k_dense_replace": dense_layers,
    }


DEEPSEEK_V2 = Family(
    model_type="deepseek_v2",
    architecture="DeepseekV2ForCausalLM",
    sizes={
        # layers, heads, embed_dim, ffn_dim, query_rank, yarn_weight; experts, per token, expert_dim, shared, dense
        "deepseek-v2-lite": _size(27, 16, 2048, 10_944, None, 0.707) | _experts(64, 6, 1408, 2, 1),
        "deepseek-v2": _size(60, 128, 5120, 12_288, 1536, 0.707, routed_scaling_factor=16.0)
        | _experts(160, 6, 1536, 2, 1)
        | {"topk_method": "group_limited_greedy", "n_group": 8, "topk_group": 3},
    },
    keys=LATENT_KEYS,
    conversions=[LATENT_HEADS, LATENT_ROPE, SILU, FIRST_LAYERS_DENSE, GROUPS],
    constants={"moe.renormalize": False, "moe.group_score": "max"},
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
    whole_heads=True,
    weights=WEIGHTS,
)
DEEPSEEK_V3 = Family(
    model_type="deepseek_v3",
    architecture="DeepseekV3ForCausalLM",
    sizes={
        "deepseek-v3": _size(61, 128, 7168, 18_432, 1536, 1.0, vocab_size=129_280)
        | _experts(256, 8, 2048, 1, 3)
        | {"n_group": 8, "topk_group": 4},
    },
    keys=LATENT_KEYS
    | {"moe.renormalize": "norm_topk_prob", "moe.num_groups": "n_group", "moe.kept_groups": "topk_group"},
    conversions=[LATENT_HEADS, LATENT_ROPE, SILU, FIRST_LAYERS_DENSE, PREDICTS_ONE],
    constants={"moe.scoring": "sigmoid", "moe.selection_bias": True, "moe.group_score": "top2_sum"},
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
    weights=[*WEIGHTS, SELECTION_BIAS],
    predicts_ahead=True,
)
