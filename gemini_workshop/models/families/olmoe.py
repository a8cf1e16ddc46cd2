"""OLMoE: many small experts whose weights do not sum to one; all heads of a query are normalized together.

Source: Muennighoff et al. 2024, arXiv:2409.02060, section 2; OlmoeConfig and modeling_olmoe.py of transformers 5.23.0.
"""

from gemini_workshop.models.families.conversions import ATTENTION_BIAS, HEADS, SILU
from gemini_workshop.models.families.engine import Family
from gemini_workshop.models.families.llama import ATTENTION, DEFAULTS, EMBEDDINGS, KEYS, NORMS, sizes
from gemini_workshop.models.families.names import QK_NORMS, ROUTER_AND_EXPERTS
from gemini_workshop.models.families.rope import ROPE

OLMOE = Family(
    model_type="olmoe",
    architecture="OlmoeForCausalLM",
    sizes={
        # layers, heads, key/value heads, head_dim, embed_dim, ffn_dim
        "olmoe-1b-7b": sizes(16, 16, 16, 128, 2048, 1024)
        | {
            "vocab_size": 50_304,
            "max_position_embeddings": 4096,
            "num_experts": 64,
            "num_experts_per_tok": 8,
        },
    },
    keys=KEYS
    | {
        "moe.num_experts": "num_experts",
        "moe.experts_per_token": "num_experts_per_tok",
        "moe.expert_dim": "intermediate_size",
        "moe.renormalize": "norm_topk_prob",
    },
    conversions=[HEADS, ATTENTION_BIAS, ROPE, SILU],
    constants={"qk_norm": "all_heads"},
    required={"clip_qkv": None},
    defaults=DEFAULTS | {"rms_norm_eps": 1e-5, "norm_topk_prob": False},
    aliases={"num_local_experts": "num_experts"},
    weights=EMBEDDINGS + ATTENTION + NORMS + QK_NORMS + ROUTER_AND_EXPERTS,
)
