"""The built site in a real browser, on a phone and on a desk, in light and dark, without a network.

make docs && pytest -m browser tests/browser/test_site.py --screenshots DIR
"""

import functools
import http.server
import threading

import pytest

from tests.browser.test_lab import CHROMIUM
from tests.clone import TOP

SITE = TOP / "build" / "site" / "html"
PAGES = {
    "home": "index.html",
    "guide": "guides/training.html",
    "lesson": "lessons/02_attention_mechanism.html",
    "api": "api/gemini_workshop/models/attention/index.html",
    "gallery": "gallery/part2_fundamentals.html",
    "search": "search.html?q=attention",
}
WINDOWS = [(width, scheme) for width in (375, 1440) for scheme in ("light", "dark")]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and writes no line for each."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    if CHROMIUM is None:
        pytest.skip("no Chromium or Chrome on this machine")
    if not (SITE / "index.html").is_file():
        pytest.skip("the site is not built: make docs")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=WINDOWS, ids=lambda window: f"{window[0]}-{window[1]}")
def window(request, chromium, address):
    """A page of this size and color scheme that reaches this site alone, and a list of what went wrong in it."""
    width, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    wrong = []

    def only_here(route):
        if route.request.url.startswith(address):
            route.continue_()
        else:
            wrong.append(f"asked for {route.request.url}")
            route.abort()

    context.route("**/*", only_here)
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", lambda response: response.status >= 400 and wrong.append(f"{response.status} {response.url}"))
    yield page, wrong, f"{width}-{scheme}"
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_window_and_asks_nobody_else(window, address, name, request):
    page, wrong, size = window
    page.goto(address + PAGES[name])
    if name == "search":
        results = page.locator("#search-results a")
        results.filter(has_text="02 · Attention").first.wait_for()
        assert results.filter(has_text="models.attention").count()
    if folder := request.config.getoption("--screenshots"):
        page.screenshot(path=f"{folder}/site-{name}-{size}.png")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert wrong == []


def test_formulas_and_figures_of_a_lesson_are_drawn(window, address):
    page, wrong, _ = window
    page.goto(address + PAGES["lesson"])
    formula = page.locator("math[display=block]").first
    formula.scroll_into_view_if_needed()
    page.evaluate("document.fonts.ready")
    assert page.evaluate("document.fonts.check('16px \"STIX Two Math\"')")
    assert formula.bounding_box()["height"] > 20
    for image in page.locator("article img").all():
        image.scroll_into_view_if_needed()
        assert image.get_attribute("alt")
        page.wait_for_function("image => image.complete && image.naturalWidth > 100", arg=image.element_handle())
    assert wrong == []


def test_a_starter_can_be_downloaded(window, address):
    page, _, _ = window
    page.goto(address + PAGES["lesson"])
    with page.expect_download() as download:
        page.locator("a.download", has_text="starter").first.click()
    assert download.value.suggested_filename == "02_attention_mechanism_starter.ipynb"
