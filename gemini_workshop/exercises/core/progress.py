"""What a learner has done so far: one small file on the learner's own disk. The file is sent nowhere.

It lies in the folder named by GEMINI_WORKSHOP_HOME (default: ~/.gemini_workshop) as ``progress.json``. Notebooks that
are open at the same time take turns to change it. Where it cannot be written, a notebook remembers its own part.
"""

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from gemini_workshop.exercises.core.verdict import Outcome, Verdict
from gemini_workshop.files import locked, write_atomically
from gemini_workshop.paths import home

_unsaved: dict[Path, dict[str, dict[str, Any]]] = {}


@dataclass(slots=True)
class Record:
    """One exercise: its last outcome, the number of attempts, hints taken, and which mistakes were recognised."""

    outcome: str = str(Outcome.NOT_STARTED)
    attempts: int = 0
    hints: int = 0
    has_passed: bool = False
    mistakes: dict[str, int] = field(default_factory=dict)


def load() -> dict[str, Record]:
    """All records by exercise id."""
    return {exercise_id: _record(entry) for exercise_id, entry in _read().items()}


def note_verdict(verdict: Verdict) -> None:
    """Add one verdict to the record of its exercise, unless it is about the package's own code.

    Raises:
        OSError: it could not be saved, and will be forgotten when the notebook is closed.
    """

    def add(record: Record) -> None:
        record.outcome = str(verdict.outcome)
        record.attempts += verdict.outcome != Outcome.NOT_STARTED
        record.has_passed |= verdict.outcome == Outcome.PASSED
        if verdict.mistake:
            record.mistakes[verdict.mistake] = record.mistakes.get(verdict.mistake, 0) + 1

    if verdict.outcome != Outcome.NOT_YOURS:
        _change(verdict.exercise_id, add)


def note_hint(exercise_id: str) -> None:
    """Count one more hint.

    Raises:
        OSError: it could not be saved, and will be forgotten when the notebook is closed.
    """

    def add(record: Record) -> None:
        record.hints += 1

    _change(exercise_id, add)


def save(records: dict[str, Record]) -> None:
    """Write these records, whole or not at all; fields of other versions stay.

    Raises:
        OSError: they could not be saved, and will be forgotten when the notebook is closed.
    """
    entries = _read()
    changed = {exercise_id: entries.get(exercise_id, {}) | asdict(record) for exercise_id, record in records.items()}
    try:
        write_atomically(_path(), json.dumps(dict(sorted((entries | changed).items())), indent=1).encode())
        _unsaved.pop(_path(), None)
    except OSError:
        _unsaved[_path()] = entries | changed
        raise


def _change(exercise_id: str, change: Callable[[Record], None]) -> None:
    """Read, change and write one record while no other notebook does."""
    with _turn():
        record = load().get(exercise_id, Record())
        change(record)
        save({exercise_id: record})


@contextmanager
def _turn() -> Iterator[None]:
    try:
        home().mkdir(parents=True, exist_ok=True)
        lock = locked(home() / ".progress.lock")
        lock.__enter__()
    except OSError:  # then it cannot be written either, and writing will say so
        yield
        return
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _read() -> dict[str, dict[str, Any]]:
    """What the file holds, fields of other versions included. A damaged one is set aside under another name."""
    try:
        entries = json.loads(_path().read_bytes())  # in any of Unicode's encodings, with or without a mark in front
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            raise ValueError
    except OSError:
        entries = {}
    except (ValueError, RecursionError):
        entries = {}
        _set_aside()
    return entries | _unsaved.get(_path(), {})


def _set_aside() -> None:
    name = _free_name()
    with suppress(OSError):
        _path().replace(name)
        warnings.warn(
            f"{_path().name} was damaged and could not be read. It is now {name.name}, in {home()}. Your answers in "
            "my_gemini are as they were. Run your notebooks once more, and what you have passed is counted again.",
            stacklevel=2,
        )


def _record(entry: dict[str, Any]) -> Record:
    """The fields of an entry that this version knows and that are of the right type."""
    record = Record()
    for each in fields(Record):
        value = entry.get(each.name)
        if type(value) is type(getattr(record, each.name)):
            setattr(record, each.name, value)
    return record


def _path() -> Path:
    return home() / "progress.json"


def _free_name() -> Path:
    names = (home() / f"progress.damaged{number or ''}.json" for number in range(1000))
    return next(name for name in names if not name.exists())
