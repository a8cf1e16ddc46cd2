"""Rotary positions as a ``config.json`` describes them.

Source: modeling_rope_utils.py of transformers 5.23.0.
"""

from gemini_workshop.config import ModelConfig, RotaryConfig
from gemini_workshop.errors import ConfigError, unknown_name
from gemini_workshop.models.families.engine import Conversion, Values
from gemini_workshop.models.rotary_scaling import yarn_magnitude


def read_rope(parameters: Values, context_tokens: int) -> RotaryConfig:
    """Read one dictionary of rope parameters, which must hold ``rope_theta``.

    Raises:
        ConfigError: its rope_type is unknown, or it turns a part of the head in a way that is not supported.
    """
    kind = str(parameters.get("rope_type", parameters.get("type", "default")))
    if kind not in ROPE_TYPES:
        raise ConfigError(unknown_name("rope_type", kind, ROPE_TYPES))
    fraction = parameters.get("partial_rotary_factor") or 1.0
    if fraction != 1 and kind != "proportional":
        raise ConfigError(
            f"config.json has partial_rotary_factor={fraction} with rope_type={kind!r}. "
            "This decoder supports it only with rope_type='proportional'."
        )
    return RotaryConfig(base=float(parameters["rope_theta"]), **ROPE_TYPES[kind](parameters, context_tokens))


def _linear(parameters: Values, _: int) -> Values:
    return {"scaling": "linear", "factor": float(parameters.get("factor") or 1.0)}


def _llama3(parameters: Values, context_tokens: int) -> Values:
    return {
        "scaling": "llama3",
        "factor": float(parameters.get("factor") or 1.0),
        "original_tokens": parameters.get("original_max_position_embeddings") or context_tokens,
        "low_freq_factor": float(parameters["low_freq_factor"]),
        "high_freq_factor": float(parameters["high_freq_factor"]),
    }


def _yarn(parameters: Values, context_tokens: int) -> Values:
    original = parameters.get("original_max_position_embeddings") or context_tokens
    factor = float(parameters.get("factor") or context_tokens / original)
    magnitude = parameters.get("attention_factor")
    numerator, denominator = parameters.get("mscale"), parameters.get("mscale_all_dim")
    if magnitude is None and numerator and denominator:
        magnitude = yarn_magnitude(factor, numerator) / yarn_magnitude(factor, denominator)
    return {
        "scaling": "yarn",
        "factor": factor,
        "original_tokens": original,
        "fast_turns": float(parameters.get("beta_fast") or 32),
        "slow_turns": float(parameters.get("beta_slow") or 1),
        "round_range": parameters.get("truncate", True),
        "magnitude": magnitude,
    }


def _proportional(parameters: Values, context_tokens: int) -> Values:
    """Gemma 4: only the fastest pairs turn."""
    fraction = {"fraction": float(parameters.get("partial_rotary_factor") or 1.0), "fraction_of": "pairs"}
    return fraction | (_linear(parameters, context_tokens) if parameters.get("factor") not in (None, 1) else {})


ROPE_TYPES = {
    "default": lambda *_: {},
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
    "proportional": _proportional,
}


def write_rope(rope: RotaryConfig | None) -> Values:
    """The dictionary that :func:`read_rope` reads; what it cannot express is left out."""
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


def flat_parameters(values: Values) -> Values:
    """The rope parameters of a model that turns all layers alike, under the newer or the older key."""
    return {"rope_theta": values["rope_theta"]} | (values.get("rope_scaling") or values.get("rope_parameters") or {})


def older_keys(parameters: Values) -> Values:
    """The same for transformers 4, which ignores ``rope_parameters``: the base, and the scaling if there is one."""
    scaling = {key: value for key, value in parameters.items() if key != "rope_theta"}
    is_scaled = scaling != {"rope_type": "default"}
    return {"rope_theta": parameters["rope_theta"], "rope_scaling": scaling if is_scaled else None}


def _write_both(config: ModelConfig) -> Values:
    parameters = write_rope(config.rope)
    return {"rope_parameters": parameters} | older_keys(parameters)


ROPE = Conversion(
    lambda values: {"rope": read_rope(flat_parameters(values), values["max_position_embeddings"])},
    _write_both,
)
