"""The file of pages, and the log beside it that says what became of each address.

A page is one line of JSON: problem, solution, title, url and sha256, the sum of problem and solution. When it was
fetched is in the log, so that the pages of two runs over the same sites are the same bytes.

A page is appended first, and logged with the length that the file then has. After a kill, what lies beyond the
last length logged is cut off: that page is fetched again. So nothing is lost and nothing is there twice.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gemini_workshop.errors import DataError
from gemini_workshop.files import append_whole
from gemini_workshop.reading import shortened

FIELDS = ("problem", "solution", "title", "url", "sha256")
WRITTEN = "written"


def page_record(problem: str, solution: str, title: str, url: str) -> dict[str, str]:
    """The record of a page, with its sum."""
    record = {"problem": problem, "solution": solution, "title": title, "url": url}
    return record | {"sha256": _sum(problem, solution)}


def record_fault(record: Mapping[str, Any]) -> str | None:
    """What is wrong with a record, in words; None if it is as it should be.

    Example:
        >>> record_fault(page_record("1 + 1?", "", "", "https://example.org/"))
        "solution='' is empty"
    """
    if set(record) != set(FIELDS):
        return f"the fields are {shortened(', '.join(record))}, not {', '.join(FIELDS)}"
    for name in FIELDS:
        if not isinstance(record[name], str):
            return f"{name}={shortened(repr(record[name]))} is not a text"
        if not record[name].strip() and name != "title":
            return f"{name}={record[name]!r} is empty"
    if not record["url"].startswith(("http://", "https://")):
        return f"url={shortened(repr(record['url']))} is not a web address"
    if record["sha256"] != _sum(record["problem"], record["solution"]):
        return f"sha256={shortened(repr(record['sha256']), 80)} is not the sum of problem and solution"
    return None


def read_pages(path: str | Path) -> Iterator[dict[str, str]]:
    """The records of a file that :class:`Harvest` wrote, each one checked.

    Raises:
        DataError: a line is not a record.
    """
    for number, line in enumerate(_lines(Path(path)), start=1):
        record = _parse(line)
        fault = record_fault(record) if isinstance(record, dict) else "it is not a JSON object"
        if fault:
            raise DataError(f"{path}, line {number}: {fault}. Was the file edited? Scrape into a new one.")
        yield record


class Harvest:
    """The pages so far. Opening it repairs what a kill left behind.

    Args:
        path: the file of pages, PAGES.jsonl; the log is PAGES.log.jsonl.
        settings: what the pages depend on; a run with other settings must not add to the same file.

    Attributes:
        outcomes: for each address seen, ``"written"`` or why not.

    Raises:
        DataError: there are pages without a log, or fewer than it says, or they were made with other settings.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.log_path = self.path.with_suffix(".log.jsonl")
        self.outcomes: dict[str, str] = {}
        self._length = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._read_log(dict(settings))
        self._cut_pages()
        self._sums = {record["sha256"] for record in read_pages(self.path)}

    def write(self, record: Mapping[str, str], **details: Any) -> str:
        """Append a page, unless one with the same texts is there; return the outcome."""
        if record["sha256"] in self._sums:
            return self.fail(record["url"], "duplicate", "another address has the same texts", **details)
        self._length += _append(self.path, record)
        self._sums.add(record["sha256"])
        self._log(record["url"], WRITTEN, "", details)
        return WRITTEN

    def fail(self, url: str, reason: str, detail: str, **details: Any) -> str:
        """Log why there is no page from this address; return the reason."""
        self._log(url, reason, detail, details)
        return reason

    def _log(self, url: str, outcome: str, detail: str, details: Mapping[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"url": url, "outcome": outcome, "detail": detail, "at": now, "length": self._length, **details}
        _append(self.log_path, entry)
        self.outcomes[url] = outcome

    def _read_log(self, settings: dict[str, Any]) -> None:
        if not self.log_path.exists() or not _cut_torn_line(self.log_path):
            if self.path.exists() and self.path.stat().st_size:
                raise DataError(f"{self.path} has pages, but {self.log_path} is missing. Choose another file.")
            _append(self.log_path, {"settings": settings})
            return
        first, *entries = (_parse(line) for line in _lines(self.log_path))
        if not isinstance(first, dict) or not all(isinstance(entry, dict) and "length" in entry for entry in entries):
            raise DataError(f"{self.log_path} is not a log of scraping. Choose another file for the pages.")
        if first.get("settings") != json.loads(json.dumps(settings)):
            raise DataError(
                f"{self.path} was begun with {first.get('settings')}, not with {settings}. Choose another file."
            )
        for entry in entries:
            self.outcomes[entry["url"]] = entry["outcome"]
            self._length = entry["length"]

    def _cut_pages(self) -> None:
        """Back to the length that the log knows of."""
        self.path.touch()
        present = self.path.stat().st_size
        with self.path.open("r+b") as file:
            file.seek(self._length)
            num_lines = file.read().count(b"\n")
            if present < self._length or num_lines > 1:
                raise DataError(
                    f"{self.path} has {present:,} bytes, and its log knows of {self._length:,}. "
                    "It was changed since; choose another file."
                )
            file.truncate(self._length)


def _append(path: Path, entry: Mapping[str, Any]) -> int:
    """Add one line, and see it on the disk; return its bytes. On a full disk, no part of the line stays.

    Raises:
        OSError: it cannot be written.
    """
    line = json.dumps(dict(entry), ensure_ascii=False).encode("utf-8", errors="replace") + b"\n"
    append_whole(path, line, is_flushed=True)
    return len(line)


def _cut_torn_line(path: Path) -> int:
    """Cut off what follows the last line end; return the bytes left."""
    content = path.read_bytes()
    length = content.rfind(b"\n") + 1
    if length < len(content):
        with path.open("r+b") as file:
            file.truncate(length)
    return length


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        yield from file


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # no JSON, a number of too many digits, a nest without end
        return None


def _sum(problem: str, solution: str) -> str:
    return hashlib.sha256(f"{problem}\0{solution}".encode("utf-8", errors="replace")).hexdigest()
