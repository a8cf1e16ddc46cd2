import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from gemini_workshop.cli.data import app
from gemini_workshop.data.scraping import faults
from gemini_workshop.data.scraping.records import read_pages
from gemini_workshop.errors import DataError


def scrape(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["scrape", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.agents.append(self.headers["User-Agent"])
        body = b"<h1>Sum</h1><p class=q>1 + 1?</p><p class=a>2</p>"
        self.send_response(404 if self.path == "/robots.txt" else 200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        del args


@pytest.fixture
def site():
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as running:
        running.agents = []
        running.host = f"127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


SELECTORS = ("--problem", ".q", "--solution", ".a", "--title", "h1", "--delay", 0)


def test_pages_are_fetched_and_told_of(site, tmp_path):
    urls, pages = tmp_path / "urls.txt", tmp_path / "pages.jsonl"
    urls.write_text(f"http://{site.host}/1\nhttp://localhost:{site.server_port}/2\n", "utf-8")
    output = scrape(urls, "--out", pages, *SELECTORS, "--allow", site.host, "--user-agent", "me/1 (me@example.org)")
    first, second, total, place = output.splitlines()
    assert first.split() == ["written", f"http://{site.host}/1"]
    assert second.startswith("private address ")
    assert total == "1 written, 1 private address"
    assert str(tmp_path / "pages.log.jsonl") in place
    assert [(page["problem"], page["solution"], page["title"]) for page in read_pages(pages)] == [
        ("1 + 1?", "2", "Sum")
    ]
    assert set(site.agents) == {"me/1 (me@example.org)"}


def test_a_missing_library_is_told_before_anything_is_read(monkeypatch, tmp_path):
    monkeypatch.setattr(faults, "LIBRARIES", ("no_such_library",))
    with pytest.raises(DataError, match="Scraping needs no_such_library"):
        scrape(tmp_path / "urls.txt", "--out", tmp_path / "pages.jsonl", *SELECTORS)


def test_help_shows_an_example():
    assert "gemini-workshop data scrape urls.txt" in scrape("--help")
