"""What a family declares, and how its ``config.json`` is read and written from that declaration.

A :class:`Family` is data: names, constants, defaults, sizes. What takes more than another name is a
:class:`Conversion`. Fields of a nested section are written with a dot: ``moe.num_experts``.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from gemini_workshop.config import LayerConfig, MediaConfig, ModelConfig, MoEConfig
from gemini_workshop.errors import ConfigError
from gemini_workshop.models.families.names import WeightName

Values = dict[str, Any]  # a config.json, or fields of a ModelConfig

# Fields that matter only through the layers that they describe.
LAYER_FIELDS = {
    "num_kv_heads",
    "head_dim",
    "ffn_dim",
    "rope",
    "local_rope",
    "layer_pattern",
    "window_tokens",
    "query_scale",
    "global_head_dim",
    "global_kv_heads",
    "global_values_are_keys",
    "shared_kv_layers",
    "shared_kv_ffn_dim",
}
TRAINING_ONLY = ("balance_weight", "z_weight", "bias_rate")


@dataclass(frozen=True)
class Conversion:
    """Some keys of a ``config.json`` to fields of a ModelConfig, and back."""

    read: Callable[[Values], Values]
    write: Callable[[ModelConfig], Values]


@dataclass(frozen=True, kw_only=True)
class Family:
    """All that the engine needs to know about one family.

    Args:
        model_type: its name in a config.json.
        architecture: its class in transformers.
        keys: our field to the key in config.json, where both hold the same value.
        conversions: fields that take more than another name.
        constants: our fields that have one value in the whole family.
        required: keys that must have this value, because the decoder supports no other.
        defaults: the value of a key that is absent.
        aliases: other names of a key.
        whole_heads: transformers insists that hidden_size is a multiple of num_attention_heads.
        sizes: published models by name: the values of their config.json.
        weights: where each of our tensors is in their files.
        prefix: first part of the names of their tensors.
        unused: patterns of tensor names that files may hold although the decoder does not use them.
        predicts_ahead: files may hold layers after the last one, which predict several tokens ahead.
        multimodal_type: model_type of the multimodal models whose ``text_config`` is one of this family.
        outer_keys: keys of a multimodal config.json that are beside its ``text_config``; only families with media.
    """

    model_type: str
    architecture: str
    keys: dict[str, str]
    conversions: list[Conversion]
    constants: Values = field(default_factory=dict)
    required: Values = field(default_factory=dict)
    defaults: Values = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    whole_heads: bool = False
    sizes: dict[str, Values] = field(default_factory=dict)
    weights: list[WeightName]
    prefix: str = "model"
    unused: tuple[str, ...] = (r"\.rotary_emb\.inv_freq$",)
    predicts_ahead: bool = False
    multimodal_type: str | None = None
    outer_keys: tuple[str, ...] = ()

    def read(self, values: Values) -> ModelConfig:
        """The model that a config.json describes.

        Raises:
            ConfigError: a key is missing, or has a value that the decoder does not support.
        """
        values = self.defaults | {self.aliases.get(key, key): value for key, value in values.items()}
        for key, needed in {"quantization_config": None, **self.required}.items():
            if values.get(key, needed) != needed:
                raise ConfigError(
                    f"config.json has {key}={values[key]!r}; this decoder supports only {key}={needed!r}. "
                    f"Choose another {self.model_type} model."
                )
        try:
            fields = self.constants | {name: values[key] for name, key in self.keys.items()}
            for conversion in self.conversions:
                fields |= conversion.read(values)
        except KeyError as error:
            raise ConfigError(
                f"config.json lacks {error}, which a {self.model_type} model needs. Download the file again."
            ) from None
        return ModelConfig.from_dict(nested(fields))

    def write(self, config: ModelConfig) -> Values:
        """The config.json of a model; :meth:`missing` lists what it cannot express."""
        values: Values = {"architectures": [self.architecture], "model_type": self.model_type, **self.required}
        values |= {key: attrgetter(name)(config) for name, key in self.keys.items()}
        for conversion in self.conversions:
            values |= conversion.write(config)
        return values

    def missing(self, config: ModelConfig) -> list[str]:
        """What the family cannot express, as ``field=value``: what is lost when the config.json is read back."""
        sections = {name.partition(".")[0] for name in self.keys if "." in name}
        if absent := [name for name in sorted(sections) if getattr(config, name) is None]:
            return [f"{name}=None" for name in absent]
        try:
            read_back = self.read(self.write(config))
        except ConfigError as error:
            return [str(error)]
        missing = differences(config, read_back)
        if self.whole_heads and config.embed_dim % config.num_heads:
            missing.append(f"embed_dim={config.embed_dim} (not a multiple of num_heads={config.num_heads})")
        return missing


def nested(fields: Values) -> Values:
    """Dotted names as sections.

    Example:
        >>> nested({"embed_dim": 8, "moe.num_experts": 4, "moe.expert_dim": 2})
        {'embed_dim': 8, 'moe': {'num_experts': 4, 'expert_dim': 2}}
    """
    result: Values = {}
    for name, value in fields.items():
        section, _, last = name.rpartition(".")
        (result.setdefault(section, {}) if section else result)[last] = value
    return result


def differences(wanted: ModelConfig, found: ModelConfig) -> list[str]:
    """What one model has and another has not, as ``field=value``; not what concerns only training."""
    names = [item.name for item in dataclasses.fields(ModelConfig)]
    if wanted.media and found.media:
        names.remove("media")
        names += _media_names(wanted.media, found.media)
    if _equal(_layers(wanted), _layers(found)):
        names = [name for name in names if name not in LAYER_FIELDS]
    wanted, found = _without_training(wanted), _without_training(found)
    values = {name: attrgetter(name) for name in names}
    different = [name for name, value in values.items() if not _equal(value(wanted), value(found))]
    return [f"{name}={_in_short(values[name](wanted))}" for name in different]


def _in_short(value: Any) -> str:
    """Of a section, only what is not as usual."""
    if not dataclasses.is_dataclass(value):
        return str(value)
    fields = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    usual = {item.name: item.default for item in dataclasses.fields(value)}
    return str({name: member for name, member in fields.items() if member != usual[name]})


def _layers(config: ModelConfig) -> tuple[LayerConfig, ...]:
    """The layers; the width of a dense feed-forward counts only where there is one."""
    only_experts = config.moe is not None and not config.moe.beside_dense
    return tuple(
        dataclasses.replace(layer, ffn_dim=0) if only_experts and layer.has_experts else layer
        for layer in config.layers
    )


def _without_training(config: ModelConfig) -> ModelConfig:
    if config.moe is None:
        return config
    defaults: Values = {item.name: item.default for item in dataclasses.fields(MoEConfig)}
    moe = dataclasses.replace(config.moe, **{name: defaults[name] for name in TRAINING_ONLY})
    return dataclasses.replace(config, moe=moe)


def _media_names(wanted: MediaConfig, found: MediaConfig) -> list[str]:
    """The fields that count: not the width of an embedder that one of the two does not have."""
    unused = {"patch_dim"} if wanted.tower or found.tower else set()
    unused |= {"frame_dim"} if None in (wanted.audio_token_id, found.audio_token_id) else set()
    return [f"media.{item.name}" for item in dataclasses.fields(MediaConfig) if item.name not in unused]


def _equal(a: Any, b: Any) -> bool:
    """Equal up to the rounding of numbers that were computed in another order."""
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-12)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    if dataclasses.is_dataclass(a) and type(a) is type(b):
        return all(_equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return a == b
