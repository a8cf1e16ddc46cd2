"""The families without experts, one :class:`Dialect` each.

Source: the configuration files of transformers 5.23.0, from which the defaults are.
"""

from gemini_workshop.models.huggingface import aspects, rope
from gemini_workshop.models.huggingface.dialect import Dialect, Values

# What all families but GPT-2 call by the same names.
FIELDS = {
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
HEADS = (aspects.HEADS, aspects.ATTENTION_BIAS)
SILU = aspects.activation("hidden_act")

GEMMA_ASPECTS = (*HEADS, aspects.SCALED_EMBEDDING, aspects.CAUSAL)
GEMMA_DEFAULTS = DEFAULTS | {
    "tie_word_embeddings": True,
    "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh",
}
GEMMA_LAYERS = (aspects.activation("hidden_activation"), aspects.layer_kinds(aspects.every_nth_is_global))
SANDWICH: Values = {"norm": "rms_offset", "norm_placement": "sandwich"}

GPT2 = Dialect(
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
)
LLAMA = Dialect(
    model_type="llama",
    architecture="LlamaForCausalLM",
    width_in_heads=True,
    fields=FIELDS | {"feed_forward_bias": "mlp_bias"},
    aspects=(*HEADS, rope.ROPE, SILU),
    defaults=DEFAULTS | {"mlp_bias": False},
)
QWEN3 = Dialect(
    model_type="qwen3",
    architecture="Qwen3ForCausalLM",
    fields=FIELDS,
    aspects=(*HEADS, rope.ROPE, SILU, aspects.layer_kinds(aspects.later_are_local), aspects.USES_WINDOW),
    constants={"qk_norm": "head"},
    defaults=DEFAULTS | {"head_dim": 128, "use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28},
)
GEMMA = Dialect(
    model_type="gemma",
    architecture="GemmaForCausalLM",
    fields=FIELDS,
    # The first release wrote "gelu" and meant the tanh form.
    aspects=(*GEMMA_ASPECTS, rope.ROPE, aspects.activation("hidden_act", legacy={"gelu": "gelu_pytorch_tanh"})),
    constants={"norm": "rms_offset"},
    defaults=GEMMA_DEFAULTS,
)
GEMMA2 = Dialect(
    model_type="gemma2",
    architecture="Gemma2ForCausalLM",
    width_in_heads=True,
    fields=FIELDS | {"final_softcap": "final_logit_softcapping", "attention_softcap": "attn_logit_softcapping"},
    aspects=(*GEMMA_ASPECTS, rope.ROPE, aspects.QUERY_SCALAR, *GEMMA_LAYERS),
    constants=SANDWICH,
    defaults=GEMMA_DEFAULTS
    | {
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
        "sliding_window_pattern": 2,
        "final_logit_softcapping": 30.0,
        "attn_logit_softcapping": 50.0,
    },
)
GEMMA3 = Dialect(
    model_type="gemma3_text",
    architecture="Gemma3ForCausalLM",
    width_in_heads=True,
    fields=FIELDS | {"final_softcap": "final_logit_softcapping"},
    aspects=(*GEMMA_ASPECTS, rope.ROPE_BY_KIND, aspects.QUERY_SCALAR, *GEMMA_LAYERS),
    constants=SANDWICH | {"qk_norm": "head"},
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
)
