"""What became of the documents: counts by reason, and a few of each to look at."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from gemini_workshop.tables import table

EXAMPLES_PER_REASON = 3
EXAMPLE_CHARACTERS = 300


@dataclass(slots=True)
class Report:
    """Filled while documents stream by.

    Attributes:
        dropped: documents, by the reason for which each was dropped.
        changed: documents in which something was changed, by what it was; one document may count for several.
        splits: documents kept, by split.
        examples: pieces of the first few documents that met each reason or change.
    """

    num_read: int = 0
    num_kept: int = 0
    characters_read: int = 0
    characters_kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    examples: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def read(self, text: str) -> None:
        """Count a document that came in."""
        self.num_read += 1
        self.characters_read += len(text)

    def keep(self, text: str, split: str) -> None:
        """Count a document that goes out."""
        self.num_kept += 1
        self.characters_kept += len(text)
        self.splits[split] += 1

    def drop(self, text: str, reason: str) -> None:
        """Count a document that is left out."""
        self.dropped[reason] += 1
        self._show(text, reason)

    def change(self, before: str, after: str, what: str) -> None:
        """Count a document that is changed; the example shows the place of the first change, as it was before."""
        self.changed[what] += 1
        place = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(after))
        self._show(before[max(0, place - EXAMPLE_CHARACTERS // 2) :], what)

    def _show(self, text: str, reason: str) -> None:
        if len(self.examples[reason]) < EXAMPLES_PER_REASON:
            self.examples[reason].append(text[:EXAMPLE_CHARACTERS])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "read": {"documents": self.num_read, "characters": self.characters_read},
            "kept": {"documents": self.num_kept, "characters": self.characters_kept},
            "splits": dict(self.splits),
            "dropped": dict(self.dropped.most_common()),
            "changed": dict(self.changed.most_common()),
            "examples": dict(self.examples),
        }

    def __str__(self) -> str:
        """A table for the terminal."""
        rows = [("read", self.num_read), ("kept", self.num_kept)]
        rows += [(f"  {split}", count) for split, count in self.splits.most_common()]
        rows += [(f"dropped: {reason}", count) for reason, count in self.dropped.most_common()]
        rows += [(f"changed: {what}", count) for what, count in self.changed.most_common()]
        return table([[name, f"{count:,}", f"{count / max(self.num_read, 1):.1%}"] for name, count in rows])
