"""The page over HTTP: what it gives to whom, and that nothing of the server's disk is among it."""

import asyncio
import contextlib
import json
import os
import re

import httpx
import pytest

from gemini_workshop.demos.gate import Gate, is_below, paths_in
from gemini_workshop.demos.page import markup
from gemini_workshop.demos.server import stay_at_home
from gemini_workshop.demos.settings import DemoSettings
from gemini_workshop.demos.shelf import Shelf

LOCAL = "http://127.0.0.1:7860"


class Visitor:
    """Requests to an application without a network. It is made in a loop, since Gradio would leave loops open."""

    def __init__(self, uploads, **options):
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(
            self.runner.run(self._made(uploads, options)), raise_app_exceptions=False, client=("127.0.0.1", 1)
        )
        self.client = httpx.AsyncClient(transport=transport, base_url=LOCAL)

    async def _made(self, uploads, options):
        from gemini_workshop.demos.page.app import make_app

        return make_app(Shelf(["stories-small"]), DemoSettings(), uploads, **options)

    def get(self, path, **options):
        return self.runner.run(self.client.get(path, **options))

    def post(self, path, **options):
        return self.runner.run(self.client.post(path, **options))

    def close(self):
        self.runner.run(self.client.aclose())
        self.runner.close()


@pytest.fixture(scope="module")
def uploads(tmp_path_factory):
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def make(uploads):
    """Pages, made as the command makes them; Gradio is told once where its files go."""
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        for name in [name for name in os.environ if name.startswith(("GRADIO", "HF_"))]:
            patch.delenv(name)
        before = dict(os.environ)
        stay_at_home(uploads)

        def page(**options):
            visitor = Visitor(uploads, **options)
            stack.callback(visitor.close)
            return visitor

        yield page
        for name in os.environ.keys() - before.keys():
            del os.environ[name]


@pytest.fixture(scope="module")
def visitor(make):
    return make()


@pytest.fixture(scope="module")
def page(visitor):
    return visitor.get("/")


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "secret.txt").write_text("do not read this")
    return tmp_path / "secret.txt"


def test_the_page_names_no_place_elsewhere_that_a_browser_would_load(page, visitor):
    assert page.status_code == 200
    loaded = re.findall(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']([^"']+)""", page.text)
    assert loaded
    assert [address for address in loaded if re.match("(https?:)?//", address)] == []
    style = visitor.get("/theme.css").text
    assert "--color-accent" in style
    assert re.findall(r"@import|url\([\"']?(?:https?:)?//", style) == []
    config = json.loads(re.search(r"window\.gradio_config = (\{.*?\});</script>", page.text)[1])
    assert config["analytics_enabled"] is False
    assert config["stylesheets"] == []
    assert config["footer_links"] == []


def test_the_page_forbids_the_browser_to_load_from_elsewhere(page):
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    for kind in ("default-src", "connect-src", "script-src", "img-src", "font-src", "style-src"):
        assert policy[kind].startswith("'self'")
        assert "http" not in policy[kind]
    assert page.headers["referrer-policy"] == "no-referrer"


PLACES = ["/gradio_api/file=", "/file=", "/gradio_api/file/", "/static/../../../../../..", "/assets/../../../../../.."]
PLACES += ["/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e", "/gradio_api/proxy=file://", "/gradio_api/stream/"]
PLACES += ["/custom_component/1/client/component/", "/gradio_api/custom_component/1/client/component/", "/svelte/"]


@pytest.mark.parametrize("place", PLACES)
def test_no_route_reads_a_file_of_the_server(visitor, secret, place):
    for path in (str(secret), "/etc/passwd", __file__):
        answer = visitor.get(place + path)
        assert answer.status_code in (403, 404), (place, path)
        assert "do not read this" not in answer.text
        assert "root:" not in answer.text


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/x", "https://example.org/x.png", "//example.org/x"])
def test_no_route_fetches_an_address(visitor, target):
    for place in ("/gradio_api/file=", "/gradio_api/proxy="):
        assert visitor.get(place + target).status_code in (403, 404)


def test_an_upload_can_be_read_again_and_a_link_out_of_the_folder_cannot(visitor, uploads, secret):
    answer = visitor.post("/gradio_api/upload", files={"files": ("a.png", b"an image", "image/png")})
    (path,) = answer.json()
    assert visitor.get(f"/gradio_api/file={path}").content == b"an image"
    (uploads / "link.txt").symlink_to(secret)
    assert visitor.get(f"/gradio_api/file={uploads / 'link.txt'}").status_code == 404
    assert visitor.get(f"/gradio_api/file={uploads}/../{secret.parent.name}/secret.txt").status_code == 404


@pytest.mark.parametrize("route", ["/gradio_api/queue/join", "/gradio_api/run/predict"])
@pytest.mark.parametrize("path", ["/etc/passwd", "http://127.0.0.1:1/x.png", "https://example.org/x.png", "../x"])
def test_a_request_that_names_a_file_that_nobody_uploaded_never_reaches_gradio(visitor, route, path):
    for data in ([{"path": path}], [[{"role": "user", "content": {"file": {"path": path}}}]]):
        answer = visitor.post(route, json={"data": data, "fn_index": 0, "session_hash": "x"})
        assert (answer.status_code, "was not uploaded" in answer.text) == (403, True)


UNUSED = ["/docs", "/openapi.json", "/gradio_api/info", "/monitoring", "/gradio_api/runs", "/gradio_api/vibe-code"]
UNUSED += ["/gradio_api/openapi.json", "/gradio_api/mcp/sse", "/gradio_api/dev/reload", "/gradio_api/deep_link"]


@pytest.mark.parametrize("path", UNUSED)
def test_what_the_page_does_not_use_is_not_answered(visitor, path):
    assert visitor.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/gradio_api/call/answer", "/gradio_api/component_server", "/gradio_api/api/predict"])
def test_programs_have_the_server_and_not_the_page(visitor, path):
    assert visitor.post(path, json={"data": []}).status_code == 404


def test_a_page_that_listens_here_answers_to_no_other_name(visitor):
    assert visitor.get("/", headers={"host": "evil.example"}).status_code == 403
    assert visitor.get("/config", headers={"host": "localhost:7860"}).status_code == 200


def test_what_is_too_large_is_refused_before_it_is_read(visitor):
    assert visitor.post("/gradio_api/upload", content=b"", headers={"content-length": str(2**30)}).status_code == 413
    assert visitor.post("/gradio_api/queue/join", content=b"x" * (5 * 2**20)).status_code == 413
    assert visitor.post("/gradio_api/queue/join", content=b"{no").status_code == 400


def test_with_a_login_nothing_is_told_without_it(make):
    guarded = make(login=("guest", "let-me-in"))
    assert "auth_required" in guarded.get("/").text
    assert '"Longest reply' not in guarded.get("/").text
    assert guarded.get("/config").status_code == 401
    assert guarded.post("/gradio_api/queue/join", json={"data": []}).status_code == 401
    assert guarded.post("/gradio_api/upload", files={"files": ("a.png", b"x")}).status_code == 401
    assert guarded.post("/login", data={"username": "guest", "password": "wrong"}).status_code == 400
    assert guarded.post("/login", data={"username": "guest", "password": "let-me-in"}).status_code == 200
    assert guarded.get("/config").status_code == 200


def test_gradio_fetches_nothing_even_where_it_is_asked_to(visitor):
    from gradio import processing_utils

    with pytest.raises(Exception, match="No address is followed here"):
        asyncio.run(processing_utils.async_ssrf_protected_download("https://example.org/x.png", "/nowhere-that-is"))


def test_the_gate_lets_web_sockets_through_nowhere(uploads):
    async def app(scope, receive, send):
        raise AssertionError("reached")

    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    gate = Gate(app, uploads, "127.0.0.1", 1)
    asyncio.run(
        gate({"type": "http", "method": "DELETE", "path": "/", "headers": [(b"host", b"localhost")]}, receive, send)
    )
    assert sent[0]["status"] == 404


def test_paths_are_found_wherever_they_are():
    assert list(paths_in([{"a": {"b": [{"path": "/x", "c": {"path": "/y"}}]}}, "path", {"path": 3}])) == ["/x", "/y"]


def test_a_file_is_below_a_folder_only_if_it_is(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("a")
    (tmp_path / "in-side").write_text("b")
    assert is_below(str(tmp_path / "in" / "a"), tmp_path / "in")
    for path in ("in-side", "in", "in/../in-side", "in/b", "in/\0"):
        assert not is_below(str(tmp_path / path), tmp_path / "in"), path


HOSTILE = "<script>alert(1)</script>\" onload='x' &"


def test_every_text_in_the_markup_is_escaped():
    import numpy as np

    weights = np.array([[[[1.0, 0.0], [0.5, 0.5]]]])
    made = [
        markup.visible(HOSTILE),
        markup.note(HOSTILE),
        markup.figure(HOSTILE, "", HOSTILE),
        markup.heat_map([[0.5]], [HOSTILE], [HOSTILE], "looks at"),
        markup.head_buttons(weights, np.zeros((1, 1)), (0, 0), []),
        markup.surprise_bars([HOSTILE], [1.0], [2.0]),
        markup.lens_table([HOSTILE] * 2, [[HOSTILE] * 2], [[0.5, 0.5]], [[0.5]]),
        markup.written_tokens([HOSTILE], [HOSTILE]),
        markup.choice_table([3], [HOSTILE], [(HOSTILE, 5, [0.5])], 3),
        markup.token_row(HOSTILE, [(HOSTILE, 3)], HOSTILE),
        markup.facts([(HOSTILE, HOSTILE)]),
        markup.sparkline(HOSTILE, [1.0, 2.0]),
    ]
    for text in made:
        assert "<script" not in text
        assert "' onload" not in text
        assert "\" onload='" not in text


def test_every_color_can_be_read():
    def contrast(a, b):
        darker, lighter = sorted((markup.luminance(*a), markup.luminance(*b)))
        return (lighter + 0.05) / (darker + 0.05)

    for weight in range(101):
        style = markup.color_of(weight / 100)
        ground = tuple(int(c) for c in re.search(r"rgb\((\d+),(\d+),(\d+)\)", style).groups())
        ink = (255, 255, 255) if "#fff" in style else (0, 0, 0)
        assert contrast(ground, ink) >= 4.5, weight
