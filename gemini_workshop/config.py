"""Configuration: frozen, wholly checked, plain data.

A preset is a YAML file in ``gemini_workshop/configs`` with one section for each class below. It is read with
:func:`load_config`, changed with :func:`override` and written with :func:`to_yaml`; nothing else is global.
"""

import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from gemini_workshop.errors import ConfigError, unknown_name


def option(help: str, **kwargs: Any) -> Any:
    """A dataclass field with its explanation; the command line shows the same sentence."""
    return dataclasses.field(metadata={"help": help}, **kwargs)


Section = TypeVar("Section", bound="_Section")


class _Section:
    """What the three configurations share: type checks, and the way to and from plain data."""

    __slots__ = ()

    @classmethod
    def from_dict(cls: type[Section], values: Any) -> Section:
        """Build from plain data. Unknown and missing fields are errors that name them."""
        if not isinstance(values, dict):
            raise ConfigError(f"{cls.__name__} is {values!r}, not a list of fields. Write each as field: value.")
        fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        for name in values:
            if name not in fields:
                raise ConfigError(unknown_name(f"field of {cls.__name__} called", name, fields))
        missing = [
            name for name, field in fields.items() if name not in values and field.default is dataclasses.MISSING
        ]
        if missing:
            raise ConfigError(f"{cls.__name__} lacks {', '.join(missing)}. These fields have no default.")
        return cls(**{name: _as_type(fields[name].type, value) for name, value in values.items()})

    def to_dict(self) -> dict[str, Any]:
        """Plain data that :meth:`from_dict` turns back into an equal configuration."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    def _check_types(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not _has_type(value, field.type):
                need = _type_in_words(field.type)
                raise ConfigError(f"{field.name}={value!r} is not {need}. {field.metadata['help']}")

    def _need(self, is_met: bool, problem: str, cure: str) -> None:
        if not is_met:
            raise ConfigError(f"{problem} {cure}")

    def _need_positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            least = ">= 1" if isinstance(value, int) else "> 0"
            self._need(value > 0, f"{name}={value} is not positive.", f"Choose {name} {least}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig(_Section):
    """The decoder's architecture. Every field defines it, so none has a default."""

    vocab_size: int = option("Number of token ids the model knows.")
    context_tokens: int = option("Longest sequence that the model is trained on, in tokens.")
    embed_dim: int = option("Width of the residual stream.")
    num_layers: int = option("Number of transformer blocks.")
    num_heads: int = option("Query heads in each attention layer.")
    num_kv_heads: int = option("Key/value heads; each serves num_heads / num_kv_heads query heads.")
    head_dim: int = option("Channels of one head; even, because rotary positions turn pairs of channels.")
    ffn_dim: int = option("Hidden width of the feed-forward layers.")
    activation: Literal["silu", "gelu_tanh"] = option("Gate of the feed-forward: silu (SwiGLU), gelu_tanh (GeGLU).")
    rope_base: float = option("Base of the rotary frequencies: larger means slower pairs and longer reach.")
    norm_eps: float = option("Added under the root in RMSNorm, so that a zero vector stays finite.")
    qk_norm: bool = option("Normalise queries and keys per head before they are compared, as Gemma 3 does.")
    tied_head: bool = option("Read the logits with the embedding table itself instead of a second matrix.")

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive("vocab_size", "context_tokens", "embed_dim", "num_layers", "num_heads")
        self._need_positive("num_kv_heads", "head_dim", "ffn_dim", "rope_base", "norm_eps")
        divisors = [str(n) for n in range(1, self.num_heads + 1) if self.num_heads % n == 0]
        self._need(
            self.num_heads % self.num_kv_heads == 0,
            f"num_heads={self.num_heads} is not a multiple of num_kv_heads={self.num_kv_heads}.",
            f"Each key/value head must serve the same number of query heads. Try num_kv_heads={_either(divisors)}.",
        )
        self._need(
            self.head_dim % 2 == 0,
            f"head_dim={self.head_dim} is odd, but rotary positions turn channels in pairs.",
            f"Try head_dim={self.head_dim + 1}.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig(_Section):
    """How a model is trained. ``steps`` is the plan; ``minutes``, if set, may end it earlier."""

    steps: int = option("Optimizer steps of the whole run; the learning-rate schedule ends with them.")
    batch_size: int = option("Sequences in one step; each is context_tokens long.")
    learning_rate: float = option("Highest learning rate, reached after the warm-up.")
    warmup_steps: int = option("Steps over which the learning rate rises linearly from zero.", default=100)
    final_rate_fraction: float = option("Last learning rate as a fraction of the highest.", default=0.1)
    weight_decay: float = option("Pull of the matrices towards zero (AdamW); norms are left alone.", default=0.1)
    beta1: float = option("AdamW's memory of the gradient's mean.", default=0.9)
    beta2: float = option("AdamW's memory of the gradient's square.", default=0.95)
    clip_norm: float = option("Largest norm of the whole gradient; beyond it the gradient is scaled down.", default=1.0)
    precision: Literal["fp32", "bf16"] = option("Number format of the matrix products.", default="fp32")
    eval_every_steps: int = option("Steps between two measurements of the validation loss.", default=100)
    eval_batches: int = option("Batches of validation text in one measurement.", default=20)
    checkpoint_every_steps: int = option("Steps between two checkpoints.", default=100)
    keep_checkpoints: int = option("How many of the newest checkpoints stay on disk.", default=2)
    validation_fraction: float = option("Share of the documents that is kept for validation.", default=0.05)
    seed: int = option("Seed of the initial weights and of the order of the data.", default=0)

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive("steps", "batch_size", "learning_rate", "clip_norm", "eval_every_steps")
        self._need_positive("eval_batches", "checkpoint_every_steps", "keep_checkpoints")
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            self._need(0 <= value < 1, f"{name}={value} is outside [0, 1).", "Choose a value in that range.")
        self._need(
            0 <= self.final_rate_fraction <= 1,
            f"final_rate_fraction={self.final_rate_fraction} is outside [0, 1].",
            "Choose 1 to stay at the highest rate.",
        )
        self._need(
            0 < self.validation_fraction < 1,
            f"validation_fraction={self.validation_fraction} is outside (0, 1).",
            "Choose for example 0.05.",
        )
        self._need(self.weight_decay >= 0, f"weight_decay={self.weight_decay} is negative.", "Choose 0 or more.")
        self._need(
            0 <= self.warmup_steps <= self.steps,
            f"warmup_steps={self.warmup_steps} does not fit into steps={self.steps}.",
            "Choose fewer warm-up steps or more steps.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationConfig(_Section):
    """How text is drawn from a model."""

    max_new_tokens: int = option("Most tokens to add to the prompt.", default=200)
    temperature: float = option("Below 1 safer, above 1 wilder; 0 always takes the likeliest token.", default=0.8)
    top_k: int | None = option("Draw among the k likeliest tokens only.", default=None)
    top_p: float | None = option("Draw among the fewest tokens whose shares reach p.", default=0.95)
    seed: int = option("Seed of the random draws.", default=0)

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive("max_new_tokens")
        self._need(self.temperature >= 0, f"temperature={self.temperature} is negative.", "Choose 0 or more.")
        if self.top_k is not None:
            self._need_positive("top_k")
        if self.top_p is not None:
            self._need(0 < self.top_p <= 1, f"top_p={self.top_p} is outside (0, 1].", "Choose 1 to keep every token.")


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkshopConfig:
    """One model, how it is trained and how it talks: what a preset file holds."""

    model: ModelConfig
    training: TrainingConfig
    generation: GenerationConfig

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "WorkshopConfig":
        """Build from plain data with the sections model, training and generation (which may be absent)."""
        for name in values:
            if name not in SECTIONS:
                raise ConfigError(unknown_name("section called", name, SECTIONS))
        for name in ("model", "training"):
            if name not in values:
                raise ConfigError(f"The configuration has no section {name!r}. It needs model and training.")
        return cls(**{name: kind.from_dict(values.get(name) or {}) for name, kind in SECTIONS.items()})

    def to_dict(self) -> dict[str, Any]:
        """Plain data that :meth:`from_dict` turns back into an equal configuration."""
        return {name: getattr(self, name).to_dict() for name in SECTIONS}


SECTIONS: dict[str, Any] = {"model": ModelConfig, "training": TrainingConfig, "generation": GenerationConfig}


def preset_names() -> list[str]:
    """The presets that ship with the package, smallest first."""
    return ["tiny", "small", "medium", "large"]


def load_config(name_or_path: str | Path) -> WorkshopConfig:
    """Read a preset by name (``tiny``) or a YAML file by path (``mine.yaml``).

    Raises:
        ConfigError: there is no such preset or file, or what it says cannot work.
    """
    name = str(name_or_path)
    if name in preset_names():
        text = resources.files("gemini_workshop").joinpath("configs", f"{name}.yaml").read_text("utf-8")
    elif Path(name).suffix in {".yaml", ".yml"}:
        if not Path(name).is_file():
            raise ConfigError(
                f"There is no file {name}. Give the path of a YAML file or a preset: {', '.join(preset_names())}."
            )
        text = Path(name).read_text("utf-8")
    else:
        raise ConfigError(unknown_name("preset", name, preset_names()))
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{name} holds no sections. It needs model: and training:, as in the preset tiny.")
    return WorkshopConfig.from_dict(values)


def to_yaml(config: WorkshopConfig) -> str:
    """The YAML text that :func:`load_config` reads back as an equal configuration."""
    return yaml.safe_dump(config.to_dict(), sort_keys=False)


def override(config: WorkshopConfig, assignments: list[str]) -> WorkshopConfig:
    """Apply ``--set`` assignments such as ``training.steps=500``; the section may be left out if it is clear.

    Raises:
        ConfigError: an assignment has no ``=``, names no field, or its value cannot work.
    """
    values = config.to_dict()
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"{assignment!r} is not an assignment. Write it as field=value: training.steps=500.")
        section, name = _find_field(key.strip(), values)
        values[section][name] = _read_value(name, text)
    return WorkshopConfig.from_dict(values)


def _find_field(key: str, values: dict[str, dict[str, Any]]) -> tuple[str, str]:
    section, dot, name = key.rpartition(".")
    if dot:
        if section not in values:
            raise ConfigError(unknown_name("section called", section, values))
        return section, name
    homes = [section for section, fields in values.items() if key in fields]
    if len(homes) == 1:
        return homes[0], key
    if homes:
        raise ConfigError(f"{key!r} stands in several sections. Write {' or '.join(f'{h}.{key}' for h in homes)}.")
    every = [f"{section}.{field}" for section, fields in values.items() for field in fields]
    plain = [field.partition(".")[2] for field in every]
    raise ConfigError(unknown_name("field called", key, plain))


def _read_value(name: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"{name}={text} cannot be read. Write one number, word, true, false or null.") from None


def _as_type(kind: Any, value: Any) -> Any:
    """Mend what YAML reads too narrowly: 3 for a float field, and 1e-3, which YAML 1.1 takes for text."""
    if float in _members(kind) and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _members(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)


def _has_type(value: Any, kind: Any) -> bool:
    if isinstance(kind, types.UnionType):
        return any(_has_type(value, member) for member in typing.get_args(kind))
    if typing.get_origin(kind) is Literal:
        return value in typing.get_args(kind)
    if kind in (None, types.NoneType):
        return value is None
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _type_in_words(kind: Any) -> str:
    if isinstance(kind, types.UnionType):
        return _either([_type_in_words(member) for member in typing.get_args(kind)])
    if typing.get_origin(kind) is Literal:
        return _either([repr(choice) for choice in typing.get_args(kind)])
    words = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        types.NoneType: "null",
    }
    return words[kind]


def _either(choices: list[str]) -> str:
    """In words: "1, 2 or 4"."""
    return " or ".join([", ".join(choices[:-1]), choices[-1]]) if len(choices) > 1 else choices[0]
