"""Split documents into training, validation and test so that nothing in one is almost in another.

A document's hash decides its split. One that resembles earlier documents follows them instead, and one that resembles
documents of two splits goes into neither, because it would leak one into the other.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from gemini_workshop.errors import DataError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitFractions:
    """The fractions of the documents kept for validation and for the test; training has the rest."""

    validation: float = 0.05
    test: float = 0.05

    def __post_init__(self) -> None:
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test < 1):
            raise DataError(
                f"validation={self.validation} and test={self.test} are not two fractions that leave training some. "
                "Choose for example 0.05 and 0.05."
            )


def split_by_hash(text: str, fractions: SplitFractions) -> Split:
    """The split that the text alone decides: it stays when other documents come or go."""
    place = hash_fraction(text)
    if place < fractions.validation:
        return "validation"
    return "test" if place < fractions.validation + fractions.test else "train"


def choose_split(text: str, splits_of_relatives: Collection[Split], fractions: SplitFractions) -> Split | None:
    """The split of the relatives; without any, that of the hash; None between two splits."""
    distinct = set(splits_of_relatives)
    if len(distinct) > 1:
        return None
    return distinct.pop() if distinct else split_by_hash(text, fractions)


def hash_fraction(text: str) -> float:
    """A number in [0, 1) that the text decides, evenly spread over texts."""
    digest = hashlib.sha256(text.encode("utf-8", errors="replace")).digest()
    return int.from_bytes(digest[:4], "big") / 2**32
