"""Conversions between ``config.json`` and ModelConfig that several families need.

Source: the configuration and modeling files of transformers 5.23.0.
"""

from collections.abc import Callable

from gemini_workshop.config import ModelConfig
from gemini_workshop.errors import ConfigError, unknown_name
from gemini_workshop.models.families.engine import Conversion, Values

ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "relu2": "relu_squared",
}


def activation(key: str, legacy: dict[str, str] | None = None) -> Conversion:
    """The nonlinearity. ``legacy``: names that mean another one in this family."""

    def read(values: Values) -> Values:
        name = (legacy or {}).get(values[key], values[key])
        if name not in ACTIVATIONS:
            raise ConfigError(unknown_name("activation called", str(name), ACTIVATIONS))
        return {"activation": ACTIVATIONS[name]}

    def write(config: ModelConfig) -> Values:
        return {key: next(name for name, ours in ACTIVATIONS.items() if ours == config.activation)}

    return Conversion(read, write)


SILU = activation("hidden_act")
ATTENTION_BIAS = Conversion(
    lambda values: {"qkv_bias": values["attention_bias"], "output_bias": values["attention_bias"]},
    lambda config: {"attention_bias": config.qkv_bias},
)
# Files may leave out both numbers.
HEADS = Conversion(
    lambda values: {
        "num_kv_heads": values.get("num_key_value_heads") or values["num_attention_heads"],
        "head_dim": values.get("head_dim") or values["hidden_size"] // values["num_attention_heads"],
    },
    lambda config: {"num_key_value_heads": config.num_kv_heads, "head_dim": config.head_dim},
)


def need_values(section: str, values: Values, needed: Values) -> None:
    """What reads media is built for one value of these keys.

    Raises:
        ConfigError: a key has another one.
    """
    for key, value in needed.items():
        if values.get(key, value) != value:
            raise ConfigError(
                f"config.json has {section}.{key}={values[key]!r}; images and audio are read only with {value!r}. "
                "Load the decoder alone: load_huggingface(folder, text_only=True)."
            )


# --- Local and global layers ---

LAYER_TYPES = {"full_attention": "global", "sliding_attention": "local"}


def layer_types(default: Callable[[Values], list[str]]) -> Conversion:
    """Which layers are local. ``default``: the types where a config.json does not list them."""

    def read(values: Values) -> Values:
        types = values.get("layer_types") or default(values)
        for name in types:
            if name not in LAYER_TYPES:
                raise ConfigError(unknown_name("layer type", str(name), LAYER_TYPES))
        pattern = shortest_pattern([LAYER_TYPES[name] for name in types])
        return {"layer_pattern": pattern, "window_tokens": values["sliding_window"] if "local" in pattern else None}

    def write(config: ModelConfig) -> Values:
        theirs = {ours: name for name, ours in LAYER_TYPES.items()}
        pattern = config.layer_pattern
        types = [theirs[pattern[i % len(pattern)]] for i in range(config.num_layers)]
        return {"layer_types": types} | ({"sliding_window": config.window_tokens} if config.window_tokens else {})

    return Conversion(read, write)


def every_nth_is_global(values: Values) -> list[str]:
    """Gemma and gpt-oss: local layers, and each ``sliding_window_pattern``-th is global."""
    period, count = values["sliding_window_pattern"], values["num_hidden_layers"]
    return ["full_attention" if (i + 1) % period == 0 else "sliding_attention" for i in range(count)]


def shortest_pattern(kinds: list[str]) -> tuple[str, ...]:
    """The shortest start of a list that, repeated and cut to length, gives the whole list.

    Example:
        >>> shortest_pattern(["local", "local", "global", "local"])
        ('local', 'local', 'global')
    """
    periods = range(1, len(kinds) + 1)
    period = next(p for p in periods if all(kind == kinds[i % p] for i, kind in enumerate(kinds)))
    return tuple(kinds[:period])


def _write_uses_window(config: ModelConfig) -> Values:
    """Also which layer is the first with a window, which is all that transformers 4 knows of Qwen3's layers."""
    first = next((i for i, layer in enumerate(config.layers) if layer.window_tokens is not None), config.num_layers)
    return {"use_sliding_window": "local" in config.layer_pattern, "max_window_layers": first}


USES_WINDOW = Conversion(lambda _: {}, _write_uses_window)


def _all_local_read(values: Values) -> Values:
    if not values["use_sliding_window"] or values["sliding_window"] is None:
        return {}
    return {"layer_pattern": ("local",), "window_tokens": values["sliding_window"]}


# All layers are local, or all are global.
ONE_WINDOW = Conversion(
    _all_local_read,
    lambda config: {"sliding_window": config.window_tokens if config.layer_pattern == ("local",) else None},
)
