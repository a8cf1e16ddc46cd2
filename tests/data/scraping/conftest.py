import contextlib
import gzip
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gemini_workshop.data.scraping.extraction import Selectors
from gemini_workshop.data.scraping.fetching import Manners

SELECTORS = Selectors(problem=".problem", solution=".solution", title="h1")


def page(name: str) -> str:
    return (
        f"<html><head><title>{name}</title></head><body><h1>Task {name}</h1>"
        f"<div class=problem>What is {name}?</div><div class=solution>It is “{name}”.</div></body></html>"
    )


class Site(BaseHTTPRequestHandler):
    """Serves ``/page/NAME``, ``/robots.txt`` and one way to misbehave under each other path. Notes what is asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.close_connection = True
        self.server.asked.append(self.path)
        with self.server.lock:
            self.server.hooks.get(self.path, lambda: None)()
        name = self.path.strip("/").split("/")[0].replace("-", "_").replace(".", "_")
        with contextlib.suppress(OSError):  # the client has hung up
            getattr(self, name)()

    def send(self, body, status=200, content_type="text/html; charset=utf-8", **headers):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        for name, value in ({"Content_Length": len(body)} | headers).items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def robots_txt(self):
        status, body = self.server.robots
        self.send(body, status, "text/plain")

    def page(self):
        self.send(page(self.path.rpartition("/")[2]))

    def shouting(self):
        self.send(page("one"), content_type="TEXT/HTML; Charset=UTF-8")

    def same(self):
        self.send(page("same"))

    def slow(self):
        self.server.stopped.wait(5)

    def drip(self):
        """A page that never ends, a little at a time, so that it is never silent for long."""
        self.send("", Content_Length=None)
        while not self.server.stopped.wait(0.02):
            self.wfile.write(b"<p>more</p>")
            self.wfile.flush()

    def trickle(self):
        """Headers that never end, one at a time."""
        self.send_response(200)
        self.flush_headers()
        while not self.server.stopped.wait(0.02):
            self.wfile.write(b"X-More: yes\r\n")

    def flood(self):
        """A page that never ends, as fast as it can."""
        self.send("", Content_Length=None)
        while not self.server.stopped.is_set():
            self.wfile.write(b"<p>more</p>" * 1000)

    def huge(self):
        self.send("", Content_Length=10**12)

    def bomb(self):
        self.send(gzip.compress(b" " * 3_000_000), Content_Encoding="gzip")

    def flaky(self):
        first = self.server.asked.count(self.path) == 1
        self.send("later", 500) if first else self.page()

    def broken(self):
        self.send("always", 503)

    def patient(self):
        first = self.server.asked.count(self.path) == 1
        self.send("later", 429, Retry_After=7) if first else self.page()

    def impatient(self):
        self.send("tomorrow", 429, Retry_After=86_400)

    def wrong_charset(self):
        self.send(page("café"), content_type="text/html; charset=iso-8859-1")

    def undecodable(self):
        self.send(page("café").replace("“", "").replace("”", "").encode("latin-1"))

    def picture(self):
        self.send(b"\x89PNG", content_type="image/png")

    def untyped(self):
        self.send(page("untyped"), content_type=None)

    def missing(self):
        self.send("none", 404)

    def loop(self):
        self.send("", 302, Location="/loop")

    def moved(self):
        self.send("", 301, Location="/page/moved")

    def to(self):
        """``/to/HOST/PORT``: a redirect there."""
        _, _, host, port = self.path.split("/")
        self.send("", 302, Location=f"http://{host}:{port}/page/there")

    def to_file(self):
        self.send("", 302, Location="file:///etc/passwd")

    def to_nonsense(self):
        self.send("", 302, Location="http://[:::/")

    def to_private(self):
        self.send("", 302, Location="/private/page")

    def private(self):
        self.page()

    def cut(self):
        self.send(page("cut"), Content_Length=100_000)

    def reset(self):
        """Hang up so that the other side sees a reset, not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def nonsense(self):
        self.wfile.write(b"\x00\x01 this is not HTTP\r\n\r\n")

    def log_message(self, *args):
        del args


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that hangs up is no news."""


@pytest.fixture
def site():
    """A server of this machine; ``site.url`` is its top, ``site.host`` what must be allowed to ask it."""
    with Server(("127.0.0.1", 0), Site) as running:
        running.asked, running.hooks, running.lock = [], {}, threading.Lock()
        running.robots = (200, "User-agent: *\nDisallow: /private\n")
        running.stopped = threading.Event()
        running.host = f"127.0.0.1:{running.server_port}"
        running.url = f"http://{running.host}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.stopped.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def manners(site):
    """Allowed to ask the server of this machine, without pauses."""
    return Manners(
        user_agent="tester",
        delay_seconds=0.0,
        silence_seconds=10.0,
        page_seconds=20.0,
        max_bytes=100_000,
        max_redirects=3,
        attempts=2,
        backoff_seconds=0.01,
        allowed=(site.host,),
    )
