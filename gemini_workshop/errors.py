"""Errors meant for users: what is wrong (with the value), what is needed, what to do."""

import difflib
from collections.abc import Iterable


class WorkshopError(ValueError):
    """Something a user of the workshop can mend. Its message says how."""


class ConfigError(WorkshopError):
    """A configuration field holds a value that cannot work."""


class DataError(WorkshopError):
    """A corpus or a tokenizer is missing, damaged or not what was asked for."""


class CheckpointError(WorkshopError):
    """A checkpoint is missing, damaged or does not fit."""


class TrainingError(WorkshopError):
    """Training cannot start or go on."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that does not exist: the nearest right one, then all of them.

    Example:
        >>> unknown_name("preset", "smal", ["tiny", "small"])
        "There is no preset 'smal'. Did you mean 'small'? Known: tiny, small."
    """
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    guess = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"There is no {kind} {name!r}.{guess} Known: {', '.join(known)}."
