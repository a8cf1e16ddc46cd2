"""Presets and YAML files with the settings of a model, its training and its generation of text."""

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from gemini_workshop.config.generation import GenerationConfig
from gemini_workshop.config.model import ModelConfig
from gemini_workshop.config.plain_yaml import parse_yaml
from gemini_workshop.config.section import either
from gemini_workshop.config.training import TrainingConfig
from gemini_workshop.errors import ConfigError, DataError, unknown_name
from gemini_workshop.reading import SHOWN_OF_PATH, read_text, shortened


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkshopConfig:
    """The settings of one model, its training and its generation of text: the content of a preset file."""

    model: ModelConfig
    training: TrainingConfig
    generation: GenerationConfig

    def __post_init__(self) -> None:
        """Refuse what only the sections together show."""
        if self.row_tokens > self.model.context_tokens:
            raise ConfigError(
                f"row_tokens={self.row_tokens} is more than context_tokens={self.model.context_tokens}. "
                "Choose shorter rows, or a longer context."
            )

    @property
    def row_tokens(self) -> int:
        """Tokens of a sequence in training."""
        return self.training.row_tokens or self.model.context_tokens

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "WorkshopConfig":
        """Build from plain data with the sections model, training and (optional) generation."""
        for name in values:
            if name not in SECTIONS:
                raise ConfigError(unknown_name("section called", name, SECTIONS))
        for name in ("model", "training"):
            if name not in values:
                raise ConfigError(f"The configuration has no section {name!r}. It needs model and training.")
        return cls(**{name: kind.from_dict(values.get(name) or {}) for name, kind in SECTIONS.items()})

    def to_dict(self) -> dict[str, Any]:
        """Plain data from which :meth:`from_dict` builds an equal configuration."""
        return {name: getattr(self, name).to_dict() for name in SECTIONS}


SECTIONS: dict[str, Any] = {"model": ModelConfig, "training": TrainingConfig, "generation": GenerationConfig}


def preset_names() -> list[str]:
    """The presets in the package: of text models, smallest first, and the multimodal one."""
    return ["tiny", "small", "medium", "large", "mini-gemini"]


def load_config(name_or_path: str | Path) -> WorkshopConfig:
    """Read a preset by name (``tiny``) or a YAML file by path (``mine.yaml``).

    Raises:
        ConfigError: there is no such preset or file, or it holds a value that cannot work.
    """
    name = str(name_or_path)
    if name in preset_names():
        text = resources.files("gemini_workshop").joinpath("config", "presets", f"{name}.yaml").read_text("utf-8")
    elif Path(name).suffix in {".yaml", ".yml"}:
        if not os.path.exists(name):
            raise ConfigError(
                f"There is no file {shortened(name, SHOWN_OF_PATH)}. Give the path of a YAML file or a preset: "
                f"{', '.join(preset_names())}."
            )
        try:
            text = read_text(name, f"a YAML file, or a preset: {', '.join(preset_names())}")
        except DataError as error:
            raise ConfigError(str(error)) from None
    else:
        raise ConfigError(unknown_name("preset", name, preset_names()))
    values = parse_yaml(text, name)
    if not isinstance(values, dict):
        raise ConfigError(f"{name} has no sections. It needs model: and training:, as in the preset tiny.")
    return WorkshopConfig.from_dict(values)


def to_yaml(config: WorkshopConfig) -> str:
    """YAML text from which :func:`load_config` builds an equal configuration."""
    import yaml

    return yaml.safe_dump(config.to_dict(), sort_keys=False)


def override(config: WorkshopConfig, assignments: list[str]) -> WorkshopConfig:
    """Apply ``--set`` assignments such as ``training.steps=500``. The section is optional if the field is unique.

    Raises:
        ConfigError: an assignment has no ``=``, its field is unknown or ambiguous, or its value cannot work.
    """
    values = config.to_dict()
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"{assignment!r} is not an assignment. Write it as field=value: training.steps=500.")
        section, name = _find_field(key.strip(), values)
        section[name] = read_value(name, text)
    return WorkshopConfig.from_dict(values)


def _find_field(key: str, values: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The section that holds a field, and the field; found by its path (model.rope.base) or a unique end of it."""
    paths = _paths(values)
    homes = [path for path in paths if path == key or path.endswith(f".{key}")]
    exact = [path for path in homes if path == key or path.count(".") == min(home.count(".") for home in homes)]
    if len(exact) != 1:
        if exact:
            raise ConfigError(f"{key!r} is in several sections. Write {either(exact)}.")
        section, dot, _ = key.rpartition(".")
        if dot and section not in {path.rpartition(".")[0] for path in paths}:
            raise ConfigError(unknown_name("section called", section, values))
        raise ConfigError(unknown_name("field called", key, [path.rpartition(".")[2] for path in paths]))
    *sections, name = exact[0].split(".")
    for section in sections:
        values = values[section]
    return values, name


def _paths(values: dict[str, Any], above: str = "") -> list[str]:
    """The path of every field, including those of nested sections."""
    found = []
    for name, value in values.items():
        if above:
            found.append(f"{above}{name}")
        if isinstance(value, dict):
            found += _paths(value, f"{above}{name}.")
    return found


def read_value(name: str, text: str) -> Any:
    """The value of a field, from the text that assigns it.

    Raises:
        ConfigError: the text cannot be read.
    """
    try:
        return parse_yaml(text, name)
    except ConfigError:
        shown = shortened(text)
        raise ConfigError(f"{name}={shown} cannot be read. Write one number, word, true, false or null.") from None
