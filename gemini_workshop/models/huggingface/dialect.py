"""How one family writes its ``config.json``: the two classes of which all families' tables are made."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gemini_workshop.config import ModelConfig
from gemini_workshop.errors import ConfigError

Values = dict[str, Any]


@dataclass(frozen=True)
class Aspect:
    """One thing in both languages: keys of a config.json to fields of a ModelConfig, and back."""

    read: Callable[[Values], Values]
    write: Callable[[ModelConfig], Values]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one family writes its config.json.

    Args:
        fields: our field to their key, where both mean the same.
        constants: our fields that are alike in the whole family.
        required: their keys that must have this value, because this decoder knows no other.
        defaults: what the absence of a key means.
        aliases: other spellings of their keys.
        parts: our fields that may not be null.
        width_in_heads: transformers insists that hidden_size is a multiple of num_attention_heads, although nothing
            depends on it.
    """

    model_type: str
    architecture: str
    fields: dict[str, str]
    aspects: tuple[Aspect, ...]
    constants: Values = field(default_factory=dict)
    required: Values = field(default_factory=dict)
    defaults: Values = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ("rope",)
    width_in_heads: bool = False

    def read(self, values: Values) -> ModelConfig:
        """The model that a config.json describes.

        Raises:
            ConfigError: it lacks a key, or asks for what this decoder does not know.
        """
        values = self.defaults | {self.aliases.get(key, key): value for key, value in values.items()}
        for key, needed in {"quantization_config": None, **self.required}.items():
            if values.get(key, needed) != needed:
                raise ConfigError(
                    f"config.json says {key}={values[key]!r}; this decoder knows only {key}={needed!r}. "
                    f"Choose another model of the type {self.model_type}."
                )
        try:
            ours = self.constants | {name: values[key] for name, key in self.fields.items()}
            for aspect in self.aspects:
                ours |= aspect.read(values)
        except KeyError as error:
            raise ConfigError(
                f"config.json lacks {error}, which a model of the type {self.model_type} needs."
            ) from None
        return ModelConfig.from_dict(ours)

    def write(self, config: ModelConfig) -> Values:
        """The config.json of a model; see :func:`differences` for whether that says everything."""
        values: Values = {"architectures": [self.architecture], "model_type": self.model_type, **self.required}
        values |= {key: getattr(config, name) for name, key in self.fields.items()}
        for aspect in self.aspects:
            values |= aspect.write(config)
        return values
