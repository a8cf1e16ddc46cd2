"""docs/decisions.md: dated, newest first, and an entry that was overruled says so itself."""

import re
from datetime import date
from itertools import pairwise

from tests.clone import TOP

PAGE = (TOP / "docs" / "decisions.md").read_text("utf-8")
ENTRIES = re.findall(r"^## (\d{4}-\d{2}-\d{2}) · (.+)\n\n((?:(?!^## ).*\n?)*)", PAGE, re.MULTILINE)
TITLES = [title for _, title, _ in ENTRIES]


def in_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_every_entry_has_a_date_and_the_newest_comes_first():
    assert len(ENTRIES) == PAGE.count("\n## ") > 30
    dates = [date.fromisoformat(day) for day, _, _ in ENTRIES]
    assert all(newer >= older for newer, older in pairwise(dates))


def test_an_entry_that_overrules_another_is_named_there():
    overruling = {
        old: title for _, title, text in ENTRIES for old in re.findall(r'overrules "([^"]+)"', in_one_line(text))
    }
    assert len(overruling) >= 3
    for old, new in overruling.items():
        (text,) = [text for _, title, text in ENTRIES if title == old]
        assert "**Overruled**" in text, old
        assert f'"{new}"' in in_one_line(text), old


def test_every_title_in_quotes_is_an_entry():
    quoted = re.findall(r'"([A-Z][^"]{15,})"', in_one_line(PAGE))
    assert quoted
    assert [title for title in quoted if title.rstrip(".,") not in TITLES] == []
