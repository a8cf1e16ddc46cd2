"""GPT-2: learned positions, LayerNorm, biases everywhere, a feed-forward without a gate.

Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3; GPT2Config and
modeling_gpt2.py of transformers 5.23.0.
"""

from gemini_workshop.models.families.conversions import activation
from gemini_workshop.models.families.engine import Conversion, Family, Values
from gemini_workshop.models.families.names import (
    FUSED,
    FUSED_TRANSPOSED,
    TRANSPOSED,
    WeightName,
    renamed,
)


def _size(num_layers: int, num_heads: int, embed_dim: int) -> Values:
    size = {"n_layer": num_layers, "n_head": num_heads, "n_embd": embed_dim}
    return size | {"vocab_size": 50_257, "n_positions": 1024}


# --- config.json ---


def _read_heads(values: Values) -> Values:
    heads, width = values["n_head"], values["n_embd"]
    fields: Values = {
        "num_kv_heads": heads,
        "head_dim": width // heads,
        "ffn_dim": values["n_inner"] or 4 * width,
    }
    if values["scale_attn_by_inverse_layer_idx"]:
        fields["query_scale"] = tuple((width // heads) ** -0.5 / (i + 1) for i in range(values["n_layer"]))
    return fields


HEADS = Conversion(
    _read_heads,
    lambda config: {
        "n_inner": config.ffn_dim,
        "scale_attn_by_inverse_layer_idx": isinstance(config.query_scale, tuple),
    },
)

# --- Weights: matrices are transposed; queries, keys and values are one matrix ---

BLOCK, LAYER = "blocks.{i}.", "transformer.h.{i}."
QKV = [f"{BLOCK}attention.{part}." for part in ("query", "key", "value")]
MATRICES = {
    f"{BLOCK}attention.output": f"{LAYER}attn.c_proj",
    f"{BLOCK}feed_forward.up": f"{LAYER}mlp.c_fc",
    f"{BLOCK}feed_forward.down": f"{LAYER}mlp.c_proj",
}
NORMS = {
    f"{BLOCK}attention_norm": f"{LAYER}ln_1",
    f"{BLOCK}feed_forward_norm": f"{LAYER}ln_2",
    "norm": "transformer.ln_f",
}
WEIGHTS = [
    *renamed({"embedding.weight": "transformer.wte.weight"}),
    *renamed({"position_embedding.weight": "transformer.wpe.weight"}),
    *renamed({"head.weight": "lm_head.weight"}),
    *renamed({f"{ours}.weight": f"{theirs}.weight" for ours, theirs in NORMS.items()}),
    *renamed({f"{ours}.bias": f"{theirs}.bias" for ours, theirs in (NORMS | MATRICES).items()}),
    *renamed({f"{ours}.weight": f"{theirs}.weight" for ours, theirs in MATRICES.items()}, TRANSPOSED),
    WeightName(tuple(f"{name}weight" for name in QKV), (f"{LAYER}attn.c_attn.weight",), FUSED_TRANSPOSED),
    WeightName(tuple(f"{name}bias" for name in QKV), (f"{LAYER}attn.c_attn.bias",), FUSED),
]

GPT2 = Family(
    model_type="gpt2",
    architecture="GPT2LMHeadModel",
    sizes={
        # layers, heads, width
        "gpt2": _size(12, 12, 768),
        "gpt2-medium": _size(24, 16, 1024),
        "gpt2-large": _size(36, 20, 1280),
        "gpt2-xl": _size(48, 25, 1600),
    },
    keys={
        "vocab_size": "vocab_size",
        "context_tokens": "n_positions",
        "embed_dim": "n_embd",
        "num_layers": "n_layer",
        "num_heads": "n_head",
        "norm_eps": "layer_norm_epsilon",
        "tied_head": "tie_word_embeddings",
    },
    conversions=[HEADS, activation("activation_function")],
    constants={
        "positions": "learned",
        "norm": "layer",
        "gated": False,
        "qkv_bias": True,
        "output_bias": True,
        "feed_forward_bias": True,
    },
    required={"scale_attn_weights": True, "add_cross_attention": False},
    defaults={
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
        "activation_function": "gelu_new",
        "n_inner": None,
        "scale_attn_by_inverse_layer_idx": False,
    },
    weights=WEIGHTS,
    prefix="transformer",
    unused=(r"\.attn\.(masked_)?bias$",),
)
