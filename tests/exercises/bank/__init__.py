"""Right and wrong answers as data, written from the starters alone, before the checks of these exercises were read.

A file holds one exercise: a right answer, then changes of it, each a heading "--- right: name" or "--- wrong: name"
and lines "old >> new" (``\\n`` in a line is a new line). What holds of all of them is in tests/exercises/test_bank.py.
"""

import linecache
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

HEADING = re.compile(r"^--- (right|wrong): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Answers:
    """One exercise's answers: ``base`` is right, ``right`` and ``wrong`` are changes of it by a short name."""

    exercise: str
    name: str
    base: str
    right: dict[str, str]
    wrong: dict[str, str]

    def built(self, changes: str = "") -> Any:
        """The function or class of the base with these changes made."""
        source = self.base
        for change in changes.strip("\n").splitlines():
            old, _, new = change.partition(" >>")
            old, new = old.replace("\\n", "\n"), new.removeprefix(" ").replace("\\n", "\n")
            assert old in source, f"{old!r} is not in the base of {self.exercise}"
            source = source.replace(old, new)
        return defined(source, self.name)


def read(path: Path) -> Answers:
    """The answers of one file."""
    base, *rest = HEADING.split(path.read_text("utf-8"))
    title, base = base.split("\n", 1)
    _, exercise, name = title.split()
    answers: dict[str, dict[str, str]] = {"right": {}, "wrong": {}}
    for kind, label, changes in zip(rest[0::3], rest[1::3], rest[2::3], strict=True):
        answers[kind][label] = changes
    return Answers(exercise, name, base, answers["right"], answers["wrong"])


def defined(source: str, name: str) -> Any:
    """What a cell with this source defines under a name, with what the notebooks import."""
    file = f"cell_{abs(hash(source))}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    space = {"torch": torch, "nn": nn, "F": nn.functional, "math": math, "np": np, "__name__": "__main__"}
    exec(compile(source, file, "exec"), space)
    return space[name]


BANK = [read(path) for path in sorted(Path(__file__).parent.glob("*.txt"))]
