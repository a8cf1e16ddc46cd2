"""What a learner has done so far: one small file on the learner's own disk, sent nowhere.

It lies in the folder named by GEMINI_WORKSHOP_HOME (default: ~/.gemini_workshop) as ``progress.json``.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gemini_workshop.exercises.verdict import Outcome, Verdict
from gemini_workshop.paths import home


@dataclass(slots=True)
class Record:
    """One exercise: its last outcome, the number of attempts, hints taken, and which mistakes were recognised."""

    outcome: str = str(Outcome.NOT_STARTED)
    attempts: int = 0
    hints: int = 0
    has_passed: bool = False
    mistakes: dict[str, int] = field(default_factory=dict)


def load() -> dict[str, Record]:
    """All records by exercise id. A damaged file is set aside under another name, and nothing else is lost."""
    path = home() / "progress.json"
    try:
        records = json.loads(path.read_text("utf-8"))
        return {exercise_id: Record(**record) for exercise_id, record in records.items()}
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (ValueError, TypeError, AttributeError):
        path.replace(path.with_suffix(".damaged.json"))
        return {}


def save(records: dict[str, Record]) -> None:
    """Write all records, whole or not at all."""
    text = json.dumps({key: asdict(record) for key, record in sorted(records.items())}, indent=1)
    write_whole(home() / "progress.json", text)


def write_whole(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)


def note_verdict(verdict: Verdict) -> Record:
    """Add one verdict to the record of its exercise and return that record."""
    records = load()
    record = records.setdefault(verdict.exercise_id, Record())
    record.outcome = str(verdict.outcome)
    record.attempts += verdict.outcome != Outcome.NOT_STARTED
    record.has_passed |= verdict.outcome == Outcome.PASSED
    if verdict.mistake:
        record.mistakes[verdict.mistake] = record.mistakes.get(verdict.mistake, 0) + 1
    save(records)
    return record


def note_hint(exercise_id: str) -> int:
    """Count one more hint; return how many have been taken."""
    records = load()
    record = records.setdefault(exercise_id, Record())
    record.hints += 1
    save(records)
    return record.hints
