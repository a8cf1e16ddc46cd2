import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Shelf(BaseHTTPRequestHandler):
    """Serves ``server.content``; can break off, pause, ignore ranges, or say that there is nothing.

    Notes what was asked.
    """

    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        if server.missing:
            self.send_error(404)
            return
        header, mark = server.version
        is_same = self.headers.get("If-Range") in (None, mark)
        asked_range = self.headers.get("Range") if server.knows_ranges and is_same else None
        start = int(asked_range.removeprefix("bytes=").removesuffix("-")) if asked_range else 0
        if start >= len(server.content):
            self.send_error(416)
            return
        if server.status:
            self.send_response(server.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if asked_range and server.lies_about_ranges:
            start = 0
        self.send_response(206 if asked_range else 200)
        if server.says_length:
            self.send_header("Content-Length", str(len(server.content) - start))
        self.send_header(header, mark)
        if asked_range:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.end_headers()
        pause = max(start, server.pauses_at or 0)
        self.wfile.write(server.content[start:pause])
        if server.pauses_at:
            server.goes_on.wait()
        with contextlib.suppress(ConnectionError):  # whoever asked may be gone
            self.wfile.write(server.content[pause : server.breaks_at])

    def log_message(self, *args):
        del args


@pytest.fixture
def server(monkeypatch):
    """An HTTP server on this machine; ``server.url`` is its one file."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as running:
        running.content = bytes(range(256)) * 1000
        running.asked, running.version = [], ("ETag", '"1"')
        running.missing, running.knows_ranges, running.breaks_at = False, True, None
        running.status, running.lies_about_ranges = None, False
        running.says_length = True
        running.pauses_at, running.goes_on = None, threading.Event()
        running.url = f"http://127.0.0.1:{running.server_port}/file.bin"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.goes_on.set()
        running.shutdown()
        thread.join()
