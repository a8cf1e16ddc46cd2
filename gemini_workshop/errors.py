"""Errors for users: what is wrong (with the value), what is needed, what to do."""

import difflib
from collections.abc import Iterable


class WorkshopError(ValueError):
    """A problem that a user can fix. The message explains how."""


class ConfigError(WorkshopError):
    """A configuration field holds a value that cannot work."""


class DataError(WorkshopError):
    """A corpus or a tokenizer is missing, damaged or not the expected one."""


class CheckpointError(WorkshopError):
    """A checkpoint is missing, damaged or does not fit the model."""


class TrainingError(WorkshopError):
    """Training cannot start or continue."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The error message for a name that does not exist: the closest known name, then all of them.

    Example:
        >>> unknown_name("preset", "smal", ["tiny", "small"])
        "There is no preset 'smal'. Did you mean 'small'? Known: tiny, small."
    """
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    guess = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"There is no {kind} {name!r}.{guess} Known: {', '.join(known)}."
