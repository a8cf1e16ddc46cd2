"""Between a ``config.json`` and a ModelConfig.

What a family cannot say is found by saying it: a config that does not come back as it was written does not fit.
"""

import dataclasses
import math
from typing import Any

from gemini_workshop.config import LayerConfig, ModelConfig, MoEConfig
from gemini_workshop.errors import ConfigError, WorkshopError, unknown_name
from gemini_workshop.models.huggingface.dense_families import GEMMA, GEMMA2, GEMMA3, GPT2, LLAMA, QWEN3
from gemini_workshop.models.huggingface.dialect import Dialect, Values
from gemini_workshop.models.huggingface.moe_families import (
    DEEPSEEK_V2,
    DEEPSEEK_V3,
    GEMMA4,
    GPT_OSS,
    MIXTRAL,
    OLMOE,
    QWEN3_MOE,
)

# In the order in which a family is looked for that can express a model.
DIALECTS = {
    dialect.model_type: dialect
    for dialect in (
        *(GPT2, LLAMA, QWEN3, GEMMA, GEMMA2, GEMMA3, GEMMA4),
        *(MIXTRAL, QWEN3_MOE, OLMOE, GPT_OSS, DEEPSEEK_V2, DEEPSEEK_V3),
    )
}
# Multimodal models, and the family of the decoder that their text_config describes.
WRAPPERS = {"gemma3": "gemma3_text", "gemma4": "gemma4_text"}
# Fields that matter only through what they make of the layers.
LAYER_FIELDS = {
    *("num_kv_heads", "head_dim", "ffn_dim", "rope", "local_rope", "layer_pattern", "window_tokens", "query_scale"),
    *("global_head_dim", "global_kv_heads", "global_values_are_keys", "shared_kv_layers", "shared_kv_ffn_dim"),
}
TRAINING_ONLY = ("balance_weight", "z_weight", "bias_rate")


def model_types() -> list[str]:
    """The families, as ``model_type`` in a config.json names them."""
    return list(DIALECTS)


def find_dialect(model_type: str) -> Dialect:
    """A family by its model_type.

    Raises:
        WorkshopError: this decoder knows no such family.
    """
    if model_type not in DIALECTS:
        raise WorkshopError(unknown_name("family with model_type", model_type, DIALECTS))
    return DIALECTS[model_type]


def text_values(values: Values) -> Values:
    """The part of a config.json that describes the decoder: of a multimodal model its text_config, else all."""
    model_type = str(values.get("model_type"))
    if model_type not in WRAPPERS:
        return values
    whole = {
        "model_type": WRAPPERS[model_type],
        "tie_word_embeddings": values.get("tie_word_embeddings", True),
        "quantization_config": values.get("quantization_config"),
    }
    return values["text_config"] | whole


def model_config_from(values: Values) -> ModelConfig:
    """The model that a config.json describes.

    Raises:
        WorkshopError: its family is unknown, it lacks a key, or it asks for what this decoder does not know.
    """
    values = text_values(values)
    return find_dialect(str(values.get("model_type"))).read(values)


def config_dict_from(config: ModelConfig, family: str) -> Values:
    """The config.json of a model in the words of a family.

    Raises:
        WorkshopError: the family has no words for something that the model needs.
    """
    dialect = find_dialect(family)
    if lacking := differences(config, dialect):
        raise ConfigError(
            f"{family} cannot express {', '.join(lacking)}. Choose another family, or leave it out to have it chosen."
        )
    return dialect.write(config)


def family_of(config: ModelConfig) -> str:
    """The first family that can express a model.

    Raises:
        ConfigError: there is none; the one that lacks least is named, with what it lacks.
    """
    lacking = {name: differences(config, dialect) for name, dialect in DIALECTS.items()}
    nearest = min(lacking, key=lambda name: len(lacking[name]))
    if lacking[nearest]:
        raise ConfigError(
            f"No published family can express this model. The nearest is {nearest}, which has no words for "
            f"{', '.join(lacking[nearest])}."
        )
    return nearest


def differences(config: ModelConfig, dialect: Dialect) -> list[str]:
    """The fields that a family has no words for, with their values."""
    if absent := [name for name in dialect.parts if getattr(config, name) is None]:
        return [f"{name}=None" for name in absent]
    try:
        said = dialect.read(dialect.write(config))
    except ConfigError as error:
        return [str(error)]
    names = [item.name for item in dataclasses.fields(ModelConfig)]
    if _alike(_layers(config), _layers(said)):
        names = [name for name in names if name not in LAYER_FIELDS]
    ours, theirs = _without_training(config), _without_training(said)
    lacking = [
        f"{name}={getattr(ours, name)}" for name in names if not _alike(getattr(ours, name), getattr(theirs, name))
    ]
    if dialect.width_in_heads and config.embed_dim % config.num_heads:
        lacking.append(f"embed_dim={config.embed_dim} (no multiple of num_heads={config.num_heads})")
    return lacking


def _layers(config: ModelConfig) -> tuple[LayerConfig, ...]:
    """What the layers are; the width of a dense feed-forward counts only where there is one."""
    only_experts = config.moe is not None and not config.moe.beside_dense
    return tuple(
        dataclasses.replace(layer, ffn_dim=0) if only_experts and layer.has_experts else layer
        for layer in config.layers
    )


def _without_training(config: ModelConfig) -> ModelConfig:
    if config.moe is None:
        return config
    defaults: dict[str, Any] = {item.name: item.default for item in dataclasses.fields(MoEConfig)}
    moe = dataclasses.replace(config.moe, **{name: defaults[name] for name in TRAINING_ONLY})
    return dataclasses.replace(config, moe=moe)


def _alike(ours: Any, theirs: Any) -> bool:
    """Equal but for the rounding of numbers that were computed in another order."""
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-12)
    if isinstance(ours, tuple) and isinstance(theirs, tuple):
        return len(ours) == len(theirs) and all(map(_alike, ours, theirs))
    if dataclasses.is_dataclass(ours) and type(ours) is type(theirs):
        return all(_alike(getattr(ours, f.name), getattr(theirs, f.name)) for f in dataclasses.fields(ours))
    return ours == theirs
