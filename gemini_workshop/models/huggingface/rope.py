"""Rotary positions as a ``config.json`` describes them.

Source: modeling_rope_utils.py of transformers 5.23.0.
"""

import math

from gemini_workshop.config import ModelConfig, RotaryConfig
from gemini_workshop.errors import ConfigError, unknown_name
from gemini_workshop.models.huggingface.dialect import Aspect, Values
from gemini_workshop.models.rotary_scaling import yarn_magnitude


def read_rope(parameters: Values, context_tokens: int) -> RotaryConfig:
    """One dictionary of rope parameters; ``rope_theta`` must be in it.

    Raises:
        ConfigError: its rope_type is unknown, or turns a part of the head in a way that we do not know.
    """
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    base, factor = float(parameters["rope_theta"]), float(parameters.get("factor") or 1.0)
    fraction = float(parameters.get("partial_rotary_factor") or 1.0)
    original = parameters.get("original_max_position_embeddings") or context_tokens
    if kind == "proportional":
        return RotaryConfig(
            base=base,
            fraction=fraction,
            fraction_of="pairs",
            scaling="none" if factor == 1 else "linear",
            factor=factor,
        )
    if fraction != 1:
        raise ConfigError(
            f"config.json says partial_rotary_factor={fraction} with rope_type={kind!r}. "
            "This decoder knows it with rope_type='proportional' only."
        )
    if kind == "default":
        return RotaryConfig(base=base)
    if kind == "linear":
        return RotaryConfig(base=base, scaling="linear", factor=factor)
    if kind == "llama3":
        return RotaryConfig(
            base=base,
            scaling="llama3",
            factor=factor,
            original_tokens=original,
            low_freq_factor=float(parameters["low_freq_factor"]),
            high_freq_factor=float(parameters["high_freq_factor"]),
        )
    if kind == "yarn":
        return _read_yarn(base, original, context_tokens, parameters)
    known = ("default", "linear", "llama3", "yarn", "proportional")
    raise ConfigError(unknown_name("rope_type", str(kind), known))


def _read_yarn(base: float, original: int, context_tokens: int, parameters: Values) -> RotaryConfig:
    factor = float(parameters.get("factor") or context_tokens / original)
    magnitude = parameters.get("attention_factor")
    numerator, denominator = parameters.get("mscale"), parameters.get("mscale_all_dim")
    if magnitude is None and numerator and denominator:
        magnitude = yarn_magnitude(factor, numerator) / yarn_magnitude(factor, denominator)
    return RotaryConfig(
        base=base,
        scaling="yarn",
        factor=factor,
        original_tokens=original,
        fast_turns=float(parameters.get("beta_fast") or 32),
        slow_turns=float(parameters.get("beta_slow") or 1),
        round_range=parameters.get("truncate", True),
        magnitude=magnitude,
    )


def write_rope(rope: RotaryConfig | None) -> Values:
    """The dictionary that :func:`read_rope` reads; what it cannot say is left out."""
    if rope is None:
        return {"rope_type": "default", "rope_theta": 10_000.0}
    values: Values = {"rope_type": "default", "rope_theta": rope.base}
    if rope.fraction_of == "pairs":
        values |= {"rope_type": "proportional", "partial_rotary_factor": rope.fraction}
        return values | ({"factor": rope.factor} if rope.scaling == "linear" else {})
    if rope.scaling in ("linear", "llama3", "yarn"):
        values |= {"rope_type": rope.scaling, "factor": rope.factor}
    if rope.scaling in ("llama3", "yarn"):
        values["original_max_position_embeddings"] = rope.original_tokens
    if rope.scaling == "llama3":
        values |= {"low_freq_factor": rope.low_freq_factor, "high_freq_factor": rope.high_freq_factor}
    if rope.scaling == "yarn":
        values |= {"beta_fast": rope.fast_turns, "beta_slow": rope.slow_turns, "truncate": rope.round_range}
        values |= {} if rope.magnitude is None else {"attention_factor": rope.magnitude}
    return values


def _flat_parameters(values: Values) -> Values:
    """The rope parameters of a model with one kind of rotary positions, in the newer or the older spelling."""
    return {"rope_theta": values["rope_theta"]} | (values.get("rope_scaling") or values.get("rope_parameters") or {})


ROPE = Aspect(
    lambda values: {"rope": read_rope(_flat_parameters(values), values["max_position_embeddings"])},
    lambda config: {"rope_parameters": write_rope(config.rope)},
)


def _rope_by_kind_read(values: Values) -> Values:
    nested = values.get("rope_parameters") or {}
    full = {"rope_theta": values["rope_theta"]} | (values.get("rope_scaling") or {}) | nested.get("full_attention", {})
    local = {"rope_theta": values["rope_local_base_freq"]} | nested.get("sliding_attention", {})
    context = values["max_position_embeddings"]
    return {"rope": read_rope(full, context), "local_rope": read_rope(local, context)}


ROPE_BY_KIND = Aspect(
    _rope_by_kind_read,
    lambda config: {
        "rope_parameters": {
            "full_attention": write_rope(config.rope),
            "sliding_attention": write_rope(config.local_rope or config.rope),
        }
    },
)


def _latent_rope_read(values: Values) -> Values:
    """DeepSeek: pairs are neighbours, and YaRN also sharpens the scores, by the square of its magnitude."""
    parameters = _flat_parameters(values)
    rope = read_rope(parameters, values["max_position_embeddings"])
    layout = "interleaved" if values["rope_interleave"] else "half"
    fields: Values = {"rope": RotaryConfig.from_dict(rope.to_dict() | {"layout": layout})}
    weight = parameters.get("mscale_all_dim")
    if weight and rope.scaling != "none":
        head_dim = values["qk_nope_head_dim"] + values["qk_rope_head_dim"]
        fields["query_scale"] = head_dim**-0.5 * yarn_magnitude(rope.factor, weight) ** 2
    return fields


def _latent_rope_write(config: ModelConfig) -> Values:
    parameters = write_rope(config.rope)
    sharper = config.layers[0].query_scale * config.head_dim**0.5
    if sharper != 1 and config.rope is not None and config.rope.factor > 1:
        parameters["mscale_all_dim"] = (sharper**0.5 - 1) / (0.1 * math.log(config.rope.factor))
    interleave = config.rope is not None and config.rope.layout == "interleaved"
    return {"rope_parameters": parameters, "rope_interleave": interleave}


LATENT_ROPE = Aspect(_latent_rope_read, _latent_rope_write)
