"""What a ``config.json`` and a ModelConfig both say, in different words: one :class:`Aspect` each.

Source: the configuration and modeling files of transformers 5.23.0.
"""

from collections.abc import Callable

from gemini_workshop.config import LatentAttentionConfig, ModelConfig, MoEConfig
from gemini_workshop.errors import ConfigError, unknown_name
from gemini_workshop.models.huggingface.dialect import Aspect, Values

# --- Nonlinearities, biases and scales ---

ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "relu2": "relu_squared",
}


def activation(key: str, legacy: dict[str, str] | None = None) -> Aspect:
    """The nonlinearity. ``legacy``: names that mean another one in this family."""

    def read(values: Values) -> Values:
        name = (legacy or {}).get(values[key], values[key])
        if name not in ACTIVATIONS:
            raise ConfigError(unknown_name("activation called", str(name), ACTIVATIONS))
        return {"activation": ACTIVATIONS[name]}

    def write(config: ModelConfig) -> Values:
        return {key: next(name for name, ours in ACTIVATIONS.items() if ours == config.activation)}

    return Aspect(read, write)


ATTENTION_BIAS = Aspect(
    lambda values: {"qkv_bias": values["attention_bias"], "output_bias": values["attention_bias"]},
    lambda config: {"attention_bias": config.qkv_bias},
)
SCALED_EMBEDDING = Aspect(lambda values: {"embedding_scale": values["hidden_size"] ** 0.5}, lambda _: {})
QUERY_SCALAR = Aspect(
    lambda values: {"query_scale": values["query_pre_attn_scalar"] ** -0.5},
    lambda config: {"query_pre_attn_scalar": round(config.layers[0].query_scale ** -2)},
)


def _causal_read(values: Values) -> Values:
    """Gemma: text may not look ahead; "vision" only concerns images, which the decoder does not read."""
    if (kind := values.get("use_bidirectional_attention")) not in (None, False, "vision"):
        raise ConfigError(f"config.json says use_bidirectional_attention={kind!r}; this decoder never looks ahead.")
    return {}


CAUSAL = Aspect(_causal_read, lambda _: {})


def _gpt2_read(values: Values) -> Values:
    heads, width = values["n_head"], values["n_embd"]
    fields: Values = {
        "num_kv_heads": heads,
        "head_dim": width // heads,
        "ffn_dim": values["n_inner"] or 4 * width,
    }
    if values["scale_attn_by_inverse_layer_idx"]:
        fields["query_scale"] = tuple((width // heads) ** -0.5 / (i + 1) for i in range(values["n_layer"]))
    return fields


GPT2_SIZES = Aspect(
    _gpt2_read,
    lambda config: {
        "n_inner": config.ffn_dim,
        "scale_attn_by_inverse_layer_idx": isinstance(config.query_scale, tuple),
    },
)

HEADS = Aspect(
    lambda values: {
        "num_kv_heads": values.get("num_key_value_heads") or values["num_attention_heads"],
        "head_dim": values.get("head_dim") or values["hidden_size"] // values["num_attention_heads"],
    },
    lambda config: {"num_key_value_heads": config.num_kv_heads, "head_dim": config.head_dim},
)

# --- Which layers look how far ---

KINDS = {"full_attention": "global", "sliding_attention": "local"}


def layer_kinds(by_default: Callable[[Values], list[str]]) -> Aspect:
    """Local and global layers. ``by_default``: their kinds where a config.json does not list them."""

    def read(values: Values) -> Values:
        kinds = values.get("layer_types") or by_default(values)
        for kind in kinds:
            if kind not in KINDS:
                raise ConfigError(unknown_name("kind of layer called", str(kind), KINDS))
        pattern = shortest_pattern([KINDS[kind] for kind in kinds])
        return {"layer_pattern": pattern, "window_tokens": values["sliding_window"] if "local" in pattern else None}

    def write(config: ModelConfig) -> Values:
        theirs = {ours: kind for kind, ours in KINDS.items()}
        pattern = config.layer_pattern
        kinds = [theirs[pattern[i % len(pattern)]] for i in range(config.num_layers)]
        return {"layer_types": kinds} | ({"sliding_window": config.window_tokens} if config.window_tokens else {})

    return Aspect(read, write)


def every_nth_is_global(values: Values) -> list[str]:
    """Gemma 2-4 and gpt-oss: local layers, and each ``sliding_window_pattern``-th is global."""
    period, count = values["sliding_window_pattern"], values["num_hidden_layers"]
    return ["full_attention" if (i + 1) % period == 0 else "sliding_attention" for i in range(count)]


def last_is_global_too(values: Values) -> list[str]:
    """Gemma 4: as before, and the last layer is global in any case."""
    return [*every_nth_is_global(values)[:-1], "full_attention"]


def later_are_local(values: Values) -> list[str]:
    """Qwen3: if windows are used at all, by the layers from ``max_window_layers`` on."""
    first = values["max_window_layers"] if values["use_sliding_window"] else values["num_hidden_layers"]
    return ["full_attention" if i < first else "sliding_attention" for i in range(values["num_hidden_layers"])]


def shortest_pattern(kinds: list[str]) -> tuple[str, ...]:
    """The shortest beginning that gives the list when repeated, the last time perhaps in part.

    Example:
        >>> shortest_pattern(["local", "local", "global", "local"])
        ('local', 'local', 'global')
    """
    periods = range(1, len(kinds) + 1)
    period = next(p for p in periods if all(kind == kinds[i % p] for i, kind in enumerate(kinds)))
    return tuple(kinds[:period])


USES_WINDOW = Aspect(lambda _: {}, lambda config: {"use_sliding_window": "local" in config.layer_pattern})


def _window_everywhere_read(values: Values) -> Values:
    if not values["use_sliding_window"] or values["sliding_window"] is None:
        return {}
    return {"layer_pattern": ("local",), "window_tokens": values["sliding_window"]}


WINDOW_EVERYWHERE = Aspect(
    _window_everywhere_read,
    lambda config: {"sliding_window": config.window_tokens if config.layer_pattern == ("local",) else None},
)

# --- Experts ---


def experts(fields: dict[str, str], constants: Values | None = None, *more: Aspect) -> Aspect:
    """Experts: our fields to their keys, what is alike in the family, and aspects of the MoEConfig's own."""

    def read(values: Values) -> Values:
        ours = (constants or {}) | {name: values[key] for name, key in fields.items()}
        for aspect in more:
            ours |= aspect.read(values)
        return {"moe": MoEConfig.from_dict(ours)}

    def write(config: ModelConfig) -> Values:
        values = {key: getattr(config.moe, name) for name, key in fields.items()}
        for aspect in more:
            values |= aspect.write(config)
        return values

    return Aspect(read, write)


def _moe(config: ModelConfig) -> MoEConfig:
    assert config.moe is not None
    return config.moe


def _qwen_dense_layers(values: Values) -> Values:
    step = values["decoder_sparse_step"]
    listed = values["mlp_only_layers"] or []
    dense = [i for i in range(values["num_hidden_layers"]) if i in listed or (i + 1) % step]
    return {"dense_layers": tuple(dense)}


LISTED_DENSE_LAYERS = Aspect(_qwen_dense_layers, lambda config: {"mlp_only_layers": list(_moe(config).dense_layers)})
FIRST_LAYERS_DENSE = Aspect(
    lambda values: {"dense_layers": tuple(range(values["first_k_dense_replace"]))},
    lambda config: {"first_k_dense_replace": len(_moe(config).dense_layers)},
)


def _greedy_groups_read(values: Values) -> Values:
    method = values["topk_method"]
    if method not in ("greedy", "group_limited_greedy"):
        raise ConfigError(unknown_name("topk_method", str(method), ("greedy", "group_limited_greedy")))
    if method == "greedy":
        return {}
    return {"num_groups": values["n_group"], "kept_groups": values["topk_group"]}


GREEDY_GROUPS = Aspect(
    _greedy_groups_read,
    lambda config: {
        "topk_method": "group_limited_greedy" if _moe(config).num_groups > 1 else "greedy",
        "n_group": _moe(config).num_groups,
        "topk_group": _moe(config).kept_groups,
    },
)
# DeepSeek-V3 is released with a module that predicts several tokens ahead; the decoder leaves it aside.
NO_EXTRA_PREDICTIONS = Aspect(lambda _: {}, lambda _: {"num_nextn_predict_layers": 0})

# --- Latent attention ---

LATENT = {
    "kv_rank": "kv_lora_rank",
    "query_rank": "q_lora_rank",
    "content_dim": "qk_nope_head_dim",
    "rope_dim": "qk_rope_head_dim",
    "value_dim": "v_head_dim",
}


def _latent_read(values: Values) -> Values:
    return {
        "latent": LatentAttentionConfig(**{name: values[key] for name, key in LATENT.items()}),
        "head_dim": values["qk_nope_head_dim"] + values["qk_rope_head_dim"],
        "num_kv_heads": values["num_attention_heads"],
    }


LATENT_ATTENTION = Aspect(
    _latent_read,
    lambda config: (
        {key: getattr(config.latent, name) for name, key in LATENT.items()} | {"num_key_value_heads": config.num_heads}
    ),
)

# --- Gemma 4 ---


def _global_heads_read(values: Values) -> Values:
    """The sizes of global layers: two keys in published files, one entry a layer in those of transformers 5."""
    by_layer = values.get("per_layer_config")
    if by_layer:
        sizes = {(layer.get("head_dim"), layer.get("num_key_value_heads")) for layer in by_layer.values()}
        if len(sizes) > 1:
            raise ConfigError(f"config.json gives its global layers differing heads: {sorted(sizes, key=str)}.")
        head_dim, kv_heads = sizes.pop()
    else:
        head_dim = values["global_head_dim"]
        kv_heads = values.get("num_global_key_value_heads") if values["attention_k_eq_v"] else None
    return {"global_head_dim": head_dim, "global_kv_heads": kv_heads}


GLOBAL_HEADS = Aspect(
    _global_heads_read,
    lambda config: {
        "global_head_dim": config.global_head_dim or config.head_dim,
        "num_global_key_value_heads": config.global_kv_heads,
    },
)


def _per_layer_read(values: Values) -> Values:
    width = values["hidden_size_per_layer_input"] or None
    rows = values.get("vocab_size_per_layer_input") or values["vocab_size"]
    if width and rows != values["vocab_size"]:
        raise ConfigError(
            f"config.json says vocab_size_per_layer_input={rows} and vocab_size={values['vocab_size']}. "
            "This decoder needs one vocabulary for both."
        )
    return {"per_layer_embed_dim": width}


PER_LAYER_EMBEDDING = Aspect(
    _per_layer_read,
    lambda config: {
        "hidden_size_per_layer_input": config.per_layer_embed_dim or 0,
        "vocab_size_per_layer_input": config.vocab_size,
    },
)
DOUBLE_WIDE = Aspect(
    lambda values: {"shared_kv_ffn_dim": 2 * values["intermediate_size"] if values["use_double_wide_mlp"] else None},
    lambda config: {"use_double_wide_mlp": config.shared_kv_ffn_dim == 2 * config.ffn_dim},
)


def optional_experts(fields: dict[str, str], constants: Values) -> Aspect:
    """Gemma 4: the experts, if there are any."""
    inner = experts(fields, constants)
    return Aspect(
        lambda values: inner.read(values) if values["enable_moe_block"] else {},
        lambda config: {"enable_moe_block": config.moe is not None} | (inner.write(config) if config.moe else {}),
    )
