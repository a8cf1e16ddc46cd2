"""What all configurations have in common: documented fields, type checks, conversion from and to plain data."""

import dataclasses
import math
import types
import typing
from typing import Any, Literal, TypeVar

from gemini_workshop.errors import ConfigError, unknown_name
from gemini_workshop.reading import shortened


def option(help: str, **kwargs: Any) -> Any:
    """A dataclass field with a sentence that explains it; errors and ``--help`` show the same sentence."""
    return dataclasses.field(metadata={"help": help}, **kwargs)


MOST = 2**63 - 1  # what PyTorch, NumPy and files hold in a whole number

Self_ = TypeVar("Self_", bound="Section")


class Section:
    """Base class of the sections of a configuration."""

    __slots__ = ()

    @classmethod
    def from_dict(cls: type[Self_], values: Any) -> Self_:
        """Build from plain data.

        Raises:
            ConfigError: a field is unknown or missing, or its value cannot work.
        """
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
        """Plain data from which :meth:`from_dict` builds an equal configuration."""
        return _plain(dataclasses.asdict(self))  # type: ignore[call-overload]

    def _check_types(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not _has_type(value, field.type):
                need = _type_in_words(field.type)
                raise ConfigError(f"{field.name}={shortened(repr(value))} is not {need}. {field.metadata['help']}")
            if isinstance(value, int) and not -MOST <= value <= MOST:
                raise ConfigError(f"{field.name}={value} is too large. Choose a number up to {MOST:,}.")

    def _need(self, is_met: bool, problem: str, cure: str) -> None:
        if not is_met:
            raise ConfigError(f"{problem} {cure}")

    def _need_positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            least = ">= 1" if isinstance(value, int) else "> 0"
            self._need(value > 0, f"{name}={value} is not positive.", f"Choose {name} {least}.")


def _plain(value: Any) -> Any:
    """Lists in place of tuples, which YAML does not have."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, tuple) else value


def _as_type(kind: Any, value: Any) -> Any:
    """Convert plain data to the type of the field: sections, tuples, floats.

    YAML reads 3 as an int, and 1e-3 as text.
    """
    for member in _members(kind):
        if isinstance(value, dict) and isinstance(member, type) and issubclass(member, Section):
            return member.from_dict(value)
        if isinstance(value, list) and typing.get_origin(member) is tuple:
            return tuple(_as_type(typing.get_args(member)[0], item) for item in value)
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
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_has_type(item, typing.get_args(kind)[0]) for item in value)
    if kind in (None, types.NoneType):
        return value is None
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _type_in_words(kind: Any) -> str:
    if isinstance(kind, types.UnionType):
        return either([_type_in_words(member) for member in typing.get_args(kind)])
    if typing.get_origin(kind) is Literal:
        return either([repr(choice) for choice in typing.get_args(kind)])
    if typing.get_origin(kind) is tuple:
        return f"a list, each {_type_in_words(typing.get_args(kind)[0])}"
    if issubclass(kind, Section):
        return f"a {kind.__name__}"
    words = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        types.NoneType: "null",
    }
    return words[kind]


def divisors(number: int) -> list[str]:
    """The divisors of a number, as text."""
    return [str(n) for n in range(1, number + 1) if number % n == 0]


def either(choices: list[str]) -> str:
    """The choices in a sentence: "1, 2 or 4"."""
    return " or ".join([", ".join(choices[:-1]), choices[-1]]) if len(choices) > 1 else choices[0]
