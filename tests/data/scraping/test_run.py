import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from gemini_workshop.data.scraping import faults
from gemini_workshop.data.scraping.fetching import Manners
from gemini_workshop.data.scraping.records import read_pages
from gemini_workshop.data.scraping.run import read_urls, scrape
from gemini_workshop.errors import DataError
from tests.data.scraping.conftest import SELECTORS

CHILD = """
import sys
from gemini_workshop.data.scraping.extraction import Selectors
from gemini_workshop.data.scraping.fetching import Manners
from gemini_workshop.data.scraping.run import read_urls, scrape
urls, pages, host = sys.argv[1:]
selectors = Selectors(problem=".problem", solution=".solution", title="h1")
scrape(read_urls(urls), pages, selectors, Manners(delay_seconds=0.0, backoff_seconds=0.01, allowed=(host,)))
"""


def test_pages_become_records_and_faults_become_lines_of_the_log(site, manners, tmp_path):
    paths = ["/page/one", "/missing", "/wrong-charset", "/picture", "/private/x", "/to-private", "/same/1", "/same/2"]
    told = []
    outcomes = scrape(
        [site.url + path for path in paths],
        tmp_path / "pages.jsonl",
        SELECTORS,
        manners,
        report=lambda url, outcome: told.append((url.removeprefix(site.url), outcome)),
    )
    expected = ["written", "status 404", "written", "content type", "robots", "robots", "written", "duplicate"]
    assert told == list(zip(paths, expected, strict=True))
    assert outcomes == {name: expected.count(name) for name in expected}
    assert [page["solution"] for page in read_pages(tmp_path / "pages.jsonl")] == [
        "It is “one”.",
        "It is “café”.",
        "It is “same”.",
    ]


def test_a_second_run_asks_for_nothing_that_is_known(site, manners, tmp_path):
    urls = [f"{site.url}/page/one", f"{site.url}/missing"]
    scrape(urls, tmp_path / "pages.jsonl", SELECTORS, manners)
    before = (tmp_path / "pages.jsonl").read_bytes()
    site.asked.clear()
    assert scrape(urls, tmp_path / "pages.jsonl", SELECTORS, manners) == {"written": 1, "status 404": 1}
    assert site.asked == []
    assert (tmp_path / "pages.jsonl").read_bytes() == before


def test_what_failed_is_tried_again_if_asked(site, manners, tmp_path):
    urls = [f"{site.url}/flaky/one", f"{site.url}/same/1", f"{site.url}/same/2"]
    hurried = replace(manners, attempts=1)
    assert scrape(urls, tmp_path / "pages.jsonl", SELECTORS, hurried)["status 500"] == 1
    again = scrape(urls, tmp_path / "pages.jsonl", SELECTORS, hurried, retries_failed=True)
    assert again == {"written": 2, "duplicate": 1}
    assert site.asked[-2:] == ["/robots.txt", "/flaky/one"]


def test_a_process_killed_while_it_scrapes_leaves_what_an_undisturbed_one_finds(site, manners, tmp_path):
    paths = ["/page/a", "/page/b", "/missing", "/flaky/c", "/page/d", "/same/1", "/same/2", "/page/e"]
    listed = tmp_path / "urls.txt"
    listed.write_text("\n".join(site.url + path for path in paths), "utf-8")
    calm, killed = tmp_path / "calm.jsonl", tmp_path / "killed.jsonl"
    scrape(read_urls(listed), calm, SELECTORS, manners)
    site.asked.clear()
    running = []
    for path in ["/page/b", "/page/e"]:  # the server kills its client while that one waits
        site.hooks[path] = lambda path=path: (site.hooks.pop(path), running[-1].kill(), running[-1].wait())
    codes = []
    while not codes or codes[-1] != 0:
        command = [sys.executable, "-W", "error", "-c", CHILD, listed, killed, site.host]
        running.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        _, errors = running[-1].communicate(timeout=60)
        codes.append(running[-1].returncode)
        assert errors == ""
    assert len(codes) == 3
    assert killed.read_bytes() == calm.read_bytes()
    log = [json.loads(line) for line in killed.with_suffix(".log.jsonl").read_text("utf-8").splitlines()]
    assert [entry["url"].removeprefix(site.url) for entry in log[1:]] == paths


def test_a_second_process_must_not_write_the_same_file(site, manners, tmp_path):
    pages = tmp_path / "folder" / "pages.jsonl"
    refused = []

    def disturb():
        with pytest.raises(DataError, match="Another process is scraping into") as caught:
            scrape([f"{site.url}/page/two"], pages, SELECTORS, manners)
        refused.append(caught)

    site.hooks["/page/one"] = disturb
    assert scrape([f"{site.url}/page/one"], pages, SELECTORS, manners) == {"written": 1}
    assert len(refused) == 1
    assert scrape([f"{site.url}/page/two"], pages, SELECTORS, manners) == {"written": 2}


def test_a_list_of_addresses_holds_each_once(tmp_path):
    (tmp_path / "urls.txt").write_text("\n# tasks\nhttps://a.org/1#part\n https://a.org/2 \nhttps://a.org/1\n", "utf-8")
    assert read_urls(tmp_path / "urls.txt") == ["https://a.org/1", "https://a.org/2"]


def test_a_list_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"urls\.txt cannot be read as a list of addresses"):
        read_urls(tmp_path / "urls.txt")
    (tmp_path / "urls.txt").write_text("https://a.org/\nwww.a.org\n", "utf-8")
    with pytest.raises(DataError, match=r"line 2: 'www\.a\.org' is not a web address"):
        read_urls(tmp_path / "urls.txt")


def test_a_missing_library_is_an_error_that_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(faults, "LIBRARIES", ("httpx", "no_such_library"))
    with pytest.raises(DataError, match=re.escape("pip install 'gemini-from-scratch[scraping]'")):
        scrape([], tmp_path / "pages.jsonl", SELECTORS, Manners())
