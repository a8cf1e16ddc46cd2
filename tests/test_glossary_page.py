"""docs/glossary.md names only what exists, and each term once."""

import re
from collections import Counter
from pathlib import Path

import gemini_workshop
from gemini_workshop import models
from tests.clone import TOP

PAGE = (TOP / "docs" / "glossary.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| term |")
]


def test_every_row_has_a_term_a_meaning_and_a_name():
    assert len(ROWS) > 50
    assert [row for row in ROWS if len(row) != 5 or not row[0] or not row[2] or "`" not in row[3]] == []


def test_every_name_in_the_code_exists():
    package = Path(gemini_workshop.__file__).parent
    words = set(re.findall(r"\w+", "".join(path.read_text("utf-8") for path in package.rglob("*.py"))))
    named = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row[3])}
    assert [name for name in sorted(named) if not set(re.findall(r"\w+", name)) <= words] == []


def test_no_term_is_explained_twice():
    assert [term for term, count in Counter(row[0] for row in ROWS).items() if count > 1] == []


def test_symbols_mean_what_the_table_of_axes_says():
    axes = set(re.findall(r"^([A-Z]+) {2,}", models.__doc__ or "", re.MULTILINE))
    symbols = {symbol for row in ROWS for symbol in row[1].split(", ") if symbol} - {"Q", "K", "V", "W"}
    assert symbols
    assert symbols <= axes
