import json
import os
import re

import pytest

from gemini_workshop.data.scraping import records
from gemini_workshop.data.scraping.records import Harvest, page_record, read_pages, record_fault
from gemini_workshop.errors import DataError

SETTINGS = {"problem": ".p", "limits": [1, 2]}
URLS = [f"https://example.org/{i}" for i in range(4)]


@pytest.fixture(autouse=True)
def same_time(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


def test_every_line_is_on_the_disk_before_the_next_page(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(os.fstat(file).st_size))
    lengths = [records._append(tmp_path / "a.jsonl", {"number": number}) for number in (1, 22)]
    assert flushed == [lengths[0], sum(lengths)]


def gather(path):
    """Page 2 is a fault; the others are written."""
    harvest = Harvest(path, SETTINGS)
    for i, url in enumerate(URLS):
        if url in harvest.outcomes:
            continue
        if i == 2:
            harvest.fail(url, "status 404", "Not Found")
        else:
            harvest.write(page_record(f"prob\nlem {i} “é”", f"solution {i}", "title", url))
    return harvest


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "pages.jsonl"


def test_pages_are_lines_of_json_that_read_back(path):
    harvest = gather(path)
    pages = list(read_pages(path))
    assert [page["url"] for page in pages] == [URLS[0], URLS[1], URLS[3]]
    assert pages[0]["problem"] == "prob\nlem 0 “é”"
    assert list(harvest.outcomes.values()) == ["written", "written", "status 404", "written"]


def test_the_log_says_of_each_address_what_became_of_it_and_when(path):
    gather(path)
    first, *entries = [json.loads(line) for line in path.with_suffix(".log.jsonl").read_text("utf-8").splitlines()]
    assert first == {"settings": SETTINGS}
    assert [(entry["url"], entry["outcome"], entry["detail"]) for entry in entries][2] == (
        URLS[2],
        "status 404",
        "Not Found",
    )
    assert all(entry["at"].endswith("+00:00") for entry in entries)
    assert entries[-1]["length"] == path.stat().st_size


def test_a_kill_between_any_two_bytes_costs_nothing(path, monkeypatch):
    """Bytes reach the two files in the order of the writes; stop after each, go on, and compare."""
    writes = []
    append = records._append

    def note(file, entry):
        writes.append((file, append(file, entry)))
        return writes[-1][1]

    monkeypatch.setattr(records, "_append", note)
    gather(path)
    monkeypatch.setattr(records, "_append", append)
    log = path.with_suffix(".log.jsonl")
    whole = {path: path.read_bytes(), log: log.read_bytes()}
    for stop in range(0, sum(length for _, length in writes), 5):
        left, taken = stop, {path: 0, log: 0}
        for file, length in writes:
            taken[file] += min(left, length)
            left -= min(left, length)
        for file in (path, log):
            file.write_bytes(whole[file][: taken[file]])
        harvest = gather(path)
        assert path.read_bytes() == whole[path]
        assert list(harvest.outcomes) == URLS


def test_the_same_texts_from_another_address_are_left_out_in_a_later_run_too(path):
    gather(path)
    record = page_record("prob\nlem 0 “é”", "solution 0", "other title", "https://example.org/copy")
    assert Harvest(path, SETTINGS).write(record) == "duplicate"
    assert len(list(read_pages(path))) == 3


def test_other_settings_must_not_add_to_the_same_file(path):
    gather(path)
    with pytest.raises(DataError, match=r"was begun with .*'\.p'.*, not with .*'\.x'.*Choose another file"):
        Harvest(path, {"problem": ".x"})


def test_a_file_that_this_did_not_write_is_not_touched(path):
    path.parent.mkdir()
    path.write_text("mine\n", "utf-8")
    with pytest.raises(DataError, match=r"has pages, but .*log\.jsonl is missing"):
        Harvest(path, SETTINGS)
    log = path.with_suffix(".log.jsonl")
    log.write_text('{"my": "log"}\n[]\n', "utf-8")
    with pytest.raises(DataError, match="is not a log of scraping"):
        Harvest(path, SETTINGS)
    assert path.read_text("utf-8") == "mine\n"


@pytest.mark.parametrize("change", [lambda content: content[:-5], lambda content: content + b"one\ntwo\n"])
def test_pages_changed_since_are_an_error(path, change):
    gather(path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=r"bytes, and its log knows of .*\. It was changed since"):
        Harvest(path, SETTINGS)


def test_an_edited_page_is_an_error_that_names_its_line(path):
    gather(path)
    path.write_bytes(path.read_bytes().replace(b"solution 1", b"solution 9"))
    with pytest.raises(DataError, match=r"line 2: sha256=.* is not the sum of problem and solution"):
        list(read_pages(path))


GOOD = page_record("p", "s", "", "https://example.org/")


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (GOOD, None),
        ({}, "the fields are , not problem, solution"),
        (GOOD | {"extra": "x"}, "the fields are .*extra"),
        (GOOD | {"problem": 3}, "problem=3 is not a text"),
        (GOOD | {"solution": " \n"}, r"solution=' \\n' is empty"),
        (GOOD | {"url": "ftp://x"}, "url='ftp://x' is not a web address"),
        (GOOD | {"sha256": "0"}, "sha256='0' is not the sum"),
    ],
)
def test_a_record_is_checked(record, fault):
    found = record_fault(record)
    assert found == fault or re.match(fault, found)
