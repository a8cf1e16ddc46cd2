"""Llama 3: grouped heads, RMSNorm, SwiGLU, no biases. From 3.1 on, the slow rotary pairs are slowed down further.

Most later families use Llama's keys and names of weights, and import them from here.

Source: Grattafiori et al. 2024, arXiv:2407.21783, section 3.2; LlamaConfig and modeling_llama.py of transformers
5.23.0.
"""

from typing import Any

from gemini_workshop.models.families.conversions import ATTENTION_BIAS, HEADS, SILU
from gemini_workshop.models.families.engine import Family, Values
from gemini_workshop.models.families.names import in_layers, renamed, weight_and_bias
from gemini_workshop.models.families.rope import ROPE

KEYS = {
    "vocab_size": "vocab_size",
    "context_tokens": "max_position_embeddings",
    "embed_dim": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "ffn_dim": "intermediate_size",
    "norm_eps": "rms_norm_eps",
    "tied_head": "tie_word_embeddings",
}
DEFAULTS: Values = {
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "rope_theta": 10_000.0,
    "hidden_act": "silu",
}

EMBEDDINGS = renamed(
    {
        "embedding.weight": "model.embed_tokens.weight",
        "norm.weight": "model.norm.weight",
        "head.weight": "lm_head.weight",
    }
)
ATTENTION = in_layers(
    weight_and_bias(
        {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "o_proj"}, "attention", "self_attn"
    )
)
MLP = {"gate": "gate_proj", "up": "up_proj", "down": "down_proj"}
FEED_FORWARD = in_layers(weight_and_bias(MLP, "feed_forward", "mlp"))
NORMS = in_layers(
    {"attention_norm.weight": "input_layernorm.weight", "feed_forward_norm.weight": "post_attention_layernorm.weight"}
)
WEIGHTS = EMBEDDINGS + ATTENTION + FEED_FORWARD + NORMS


def sizes(
    num_layers: int, num_heads: int, num_kv_heads: int, head_dim: int, embed_dim: int, ffn_dim: int, **more: Any
) -> Values:
    """The sizes of a published model as its config.json has them."""
    return {
        "num_hidden_layers": num_layers,
        "num_attention_heads": num_heads,
        "num_key_value_heads": num_kv_heads,
        "head_dim": head_dim,
        "hidden_size": embed_dim,
        "intermediate_size": ffn_dim,
    } | more


LLAMA3: Values = {
    "vocab_size": 128_256,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500_000.0,
}


def _llama31(factor: float) -> Values:
    """Trained on 8192 tokens and extended to 131,072."""
    scaling = {"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    rope = {"rope_scaling": scaling | {"original_max_position_embeddings": 8192}}
    return LLAMA3 | {"max_position_embeddings": 131_072} | rope


LLAMA32 = _llama31(factor=32.0) | {"tie_word_embeddings": True}

LLAMA = Family(
    model_type="llama",
    architecture="LlamaForCausalLM",
    sizes={
        # layers, heads, key/value heads, head_dim, embed_dim, ffn_dim
        "llama-3-8b": LLAMA3 | sizes(32, 32, 8, 128, 4096, 14_336),
        "llama-3-70b": LLAMA3 | sizes(80, 64, 8, 128, 8192, 28_672),
        "llama-3.1-8b": _llama31(factor=8.0) | sizes(32, 32, 8, 128, 4096, 14_336),
        "llama-3.2-1b": LLAMA32 | sizes(16, 32, 8, 64, 2048, 8192),
        "llama-3.2-3b": LLAMA32 | sizes(28, 24, 8, 128, 3072, 8192),
    },
    keys=KEYS | {"feed_forward_bias": "mlp_bias"},
    conversions=[HEADS, ATTENTION_BIAS, ROPE, SILU],
    defaults=DEFAULTS | {"mlp_bias": False},
    whole_heads=True,
    weights=WEIGHTS,
)
