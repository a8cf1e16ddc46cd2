"""Mixtral: eight experts in every layer, two for each token.

Source: Jiang et al. 2024, arXiv:2401.04088, section 2; MixtralConfig and modeling_mixtral.py of transformers 5.23.0.
"""

from gemini_workshop.models.families.conversions import HEADS, ONE_WINDOW, SILU
from gemini_workshop.models.families.engine import Family
from gemini_workshop.models.families.llama import ATTENTION, DEFAULTS, EMBEDDINGS, KEYS, NORMS, sizes
from gemini_workshop.models.families.names import in_layers, single_experts, stacked_experts
from gemini_workshop.models.families.rope import ROPE

EXPERTS = [
    *single_experts("block_sparse_moe.experts", "w1", "w3", "w2"),
    *stacked_experts("feed_forward.experts", "mlp.experts"),
    *in_layers({"feed_forward.router.weight": "block_sparse_moe.gate.weight"}),
    *in_layers({"feed_forward.router.weight": "mlp.gate.weight"}),
]

MIXTRAL = Family(
    model_type="mixtral",
    architecture="MixtralForCausalLM",
    sizes={
        # layers, heads, key/value heads, head_dim, embed_dim, ffn_dim
        "mixtral-8x7b": sizes(32, 32, 8, 128, 4096, 14_336)
        | {
            "vocab_size": 32_000,
            "max_position_embeddings": 32_768,
            "num_local_experts": 8,
            "num_experts_per_tok": 2,
        },
    },
    keys=KEYS
    | {
        "moe.num_experts": "num_local_experts",
        "moe.experts_per_token": "num_experts_per_tok",
        "moe.expert_dim": "intermediate_size",
    },
    conversions=[HEADS, ROPE, SILU, ONE_WINDOW],
    defaults=DEFAULTS
    | {"rms_norm_eps": 1e-5, "rope_theta": 1_000_000.0, "use_sliding_window": True, "sliding_window": None},
    weights=EMBEDDINGS + ATTENTION + NORMS + EXPERTS,
)
