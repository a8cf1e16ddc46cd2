"""The demo as a visitor meets it: our own command in a real browser, from which nothing but the demo can be reached.

    pytest -m browser tests/browser/test_demo.py --screenshots DIR

Needs the extra ``browser`` (playwright, axe) and Chromium or Chrome on the machine.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gemini_workshop.data.media.dial_tones import SAMPLE_RATE, dial
from gemini_workshop.data.media.wav import encode_wav

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
COMMAND = shutil.which("gemini-workshop", path=str(Path(sys.executable).parent))
SECONDS = 120
TABS = ["Chat", "Attention", "Sampling", "Logit lens", "Experts", "Tokenizers", "Machine"]
READY = {
    "Chat": "#component-0, textarea",
    "Attention": ".heads .head",
    "Sampling": ".choice .take",
    "Logit lens": ".lens td.word",
    "Experts": ".map td, .note",
    "Tokenizers": ".text .token",
    "Machine": ".spark",
}
OPENING = "Once upon a time there was a cat called Tom."

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Start demos with our own command; each gives its address."""
    if CHROMIUM is None:
        pytest.skip("no Chromium or Chrome on this machine")
    if COMMAND is None:
        pytest.skip("this is not installed with pip install -e .")
    servers = []

    def run(*options):
        log = tmp_path_factory.mktemp("demo") / "log"
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as file:
            server = subprocess.Popen(
                [COMMAND, "demo", *options, "--port", "0"], stdout=file, stderr=file, env=environment
            )
        servers.append(server)
        end = time.monotonic() + SECONDS
        while not (found := re.search(r"The demo is at (\S+)\. ", log.read_text("utf-8"))):
            assert server.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < end, log.read_text("utf-8")
            time.sleep(0.1)
        return found[1]

    yield run
    for server in servers:
        server.terminate()
    for server in servers:
        server.wait(30)


@pytest.fixture(scope="module")
def address(start):
    return start("stories-small", "mini-gemini")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install -e '.[browser]'")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


class Visit:
    """A tab of the browser; what it asks of other machines is written down and refused."""

    def __init__(self, browser, address, width=1440, scheme="light"):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.elsewhere, self.errors, self.dialogs = [], [], []
        self.context.route("**/*", self._route)
        self.page = self.context.new_page()
        self.page.set_default_timeout(SECONDS * 1000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.goto(address)
        self.page.get_by_role("tab").first.wait_for()

    def _route(self, route):
        if re.match(r"http://127\.0\.0\.1:|data:|blob:", route.request.url):
            route.continue_()
        else:
            self.elsewhere.append(route.request.url)
            route.abort()

    def _dialog(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def open(self, name):
        tab = self.page.get_by_role("tab", name=name, exact=True)
        if tab.is_visible():
            tab.click()
        else:
            self.page.locator(".overflow-menu > button").click()
            self.page.locator(".overflow-dropdown button", has_text=name).click()
        self.page.locator(READY[name]).locator("visible=true").first.wait_for()

    def say(self, text):
        box = self.page.get_by_placeholder("Write here")
        box.fill(text)
        before = self.replies()
        box.press("Enter")
        self.wait_for_reply(len(before) + 1)

    def wait_for_reply(self, number):
        """Wait until there are so many replies, and the last one has stopped growing."""
        end, last = time.monotonic() + SECONDS, None
        while time.monotonic() < end:
            replies = self.replies()
            if len(replies) >= number and replies == last and replies[-1] not in ("", "…"):
                return
            last = replies
            self.page.wait_for_timeout(700)
        raise AssertionError(f"no reply {number}: {last}")

    def replies(self):
        return [text.strip() for text in self.page.locator(".message.bot").locator("visible=true").all_inner_texts()]

    def choose_model(self, label, name):
        self.page.get_by_label(label).click()
        self.page.get_by_role("option", name=name).click()


@pytest.fixture(scope="module")
def visit(browser, address):
    opened = []

    def make(width=1440, scheme="light", to=None):
        opened.append(Visit(browser, to or address, width, scheme))
        return opened[-1]

    yield make
    for each in opened:
        each.context.close()


@pytest.fixture(scope="module")
def screenshots(request, tmp_path_factory):
    folder = Path(request.config.getoption("--screenshots") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 375])
def test_every_tab_fits_is_accessible_and_asks_nothing_of_other_machines(visit, screenshots, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    guest = visit(width, scheme)
    guest.say(OPENING)
    faults = {}
    for name in TABS:
        guest.open(name)
        guest.page.wait_for_timeout(500)
        guest.page.screenshot(path=screenshots / f"{width}-{scheme}-{name.replace(' ', '-')}.png", full_page=True)
        assert guest.page.evaluate("document.documentElement.scrollWidth") <= width, name
        violations = Axe().run(guest.page).response["violations"]
        serious = [found for found in violations if found["impact"] in ("serious", "critical")]
        if serious:
            faults[name] = [(found["id"], found["nodes"][0]["html"][:200], len(found["nodes"])) for found in serious]
    assert faults == {}
    assert guest.elsewhere == []
    assert guest.errors == []


def test_a_reply_is_shown_with_its_speed_and_can_be_retried_edited_and_taken_back(visit):
    guest = visit()
    guest.say(OPENING)
    (first,) = guest.replies()
    facts = guest.page.locator(".facts").first.inner_text()
    assert re.search(r"tokens/s\s+\d+\s+first after\s+\d+ ms\s+cache\s+[\d,]+ bytes", facts)
    guest.page.get_by_role("button", name="Retry", exact=True).last.click()
    guest.page.wait_for_function(
        "first => document.querySelector('.message.bot').innerText.trim() !== first", arg=first
    )
    guest.wait_for_reply(1)
    (second,) = guest.replies()
    assert second != first
    guest.page.get_by_role("button", name="Edit").first.click()
    guest.page.locator(".message.user textarea, .message-row textarea").first.fill("Ben was a big dog.")
    guest.page.get_by_role("button", name="Submit").first.click()
    guest.page.wait_for_function("second => !document.body.innerText.includes(second)", arg=second)
    guest.wait_for_reply(1)
    assert "Ben was a big dog." in guest.page.locator(".message.user").first.inner_text()
    guest.page.get_by_role("button", name="Undo").first.click()
    guest.page.wait_for_function("() => document.querySelectorAll('.message').length === 0")
    assert guest.page.get_by_placeholder("Write here").input_value() == "Ben was a big dog."


def test_an_export_is_a_conversation_that_the_terminal_loads(visit, tmp_path):
    from gemini_workshop.generation.chat import Conversation

    guest = visit()
    guest.say(OPENING)
    with guest.page.expect_download() as saved:
        guest.page.get_by_role("button", name="Export", exact=True).click()
    saved.value.save_as(tmp_path / "chat.json")
    loaded = Conversation.load(tmp_path / "chat.json")
    assert [turn.text for turn in loaded.turns] == [OPENING, *guest.replies()]


def test_a_reply_can_be_stopped(visit):
    guest = visit()
    guest.page.get_by_text("Second model and settings").click()
    guest.page.get_by_label("Text above all turns").fill("A very long story.")
    box = guest.page.get_by_placeholder("Write here")
    box.fill(OPENING)
    box.press("Enter")
    guest.page.locator(".message.bot").first.wait_for()
    guest.page.get_by_role("button", name="Stop", exact=True).click()
    guest.wait_for_reply(1)
    box.fill("And then")
    box.press("Enter")
    guest.wait_for_reply(2)


def test_an_image_is_asked_about_by_two_models_side_by_side(visit, tmp_path, screenshots):
    Image.fromarray(np.full((32, 32, 3), 200, np.uint8)).save(tmp_path / "grey.png")
    guest = visit()
    guest.choose_model("Model", "mini-gemini")
    guest.page.get_by_text("Ask about images").wait_for()
    guest.page.locator("input[type=file]").first.set_input_files(tmp_path / "grey.png")
    guest.page.locator(".thumbnail-item, .thumbnails img").first.wait_for()
    guest.say("Which digit is it?")
    guest.page.screenshot(path=screenshots / "image.png", full_page=True)
    assert guest.page.locator(".message.user img").first.evaluate("image => image.naturalWidth") == 32
    assert guest.page.get_by_role("button", name="Share").count() == 0  # it would upload the image
    guest.page.get_by_role("button", name="New chat").click()
    guest.page.get_by_text("Second model and settings").click()
    guest.choose_model("Compare with", "stories-small")
    guest.page.wait_for_function("() => document.querySelectorAll('.message').length === 0")
    box = guest.page.get_by_placeholder("Write here")
    box.fill("12 + 13 =")
    box.press("Enter")
    guest.wait_for_reply(2)
    guest.page.screenshot(path=screenshots / "two-models.png", full_page=True)
    assert guest.page.locator(".facts").count() >= 2
    assert guest.elsewhere == []


def test_a_sound_and_an_animation_are_asked_about(visit, tmp_path, screenshots):
    keys = dial("2580", torch.Generator().manual_seed(0))
    (tmp_path / "dial.wav").write_bytes(encode_wav(keys, SAMPLE_RATE))
    pictures = [Image.fromarray(np.full((16, 16), grey, np.uint8)) for grey in (0, 80, 160, 240)]
    pictures[0].save(tmp_path / "film.gif", save_all=True, append_images=pictures[1:], duration=250)
    guest = visit()
    guest.choose_model("Model", "mini-gemini")
    guest.page.get_by_text("Ask about images").wait_for()
    for name, question, answer in (
        ("dial.wav", "Which keys were dialled?", "2 5 8 0"),
        ("film.gif", "Which digit do you see?", "[a-z]+"),
    ):
        guest.page.locator("input[type=file]").first.set_input_files(tmp_path / name)
        guest.page.locator(".thumbnail-item, .thumbnails img, .thumbnail-audio").first.wait_for()
        guest.say(question)
        guest.page.screenshot(path=screenshots / f"{name}.png", full_page=True)
        assert re.match(answer, guest.replies()[-1]), guest.replies()
    assert guest.elsewhere == []


def test_experts_of_the_model_that_has_some_are_drawn(visit, screenshots):
    guest = visit(375)
    guest.choose_model("Model", "mini-gemini")
    guest.open("Experts")
    guest.page.locator("table.map").locator("visible=true").first.wait_for()
    guest.page.screenshot(path=screenshots / "experts.png", full_page=True)
    assert guest.page.evaluate("document.documentElement.scrollWidth") <= 375


def test_a_file_is_refused_in_words_where_the_model_reads_text_alone(visit, tmp_path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "black.png")
    guest = visit()
    guest.page.locator("input[type=file]").first.set_input_files(tmp_path / "black.png")
    guest.page.locator(".thumbnail-item, .thumbnails img").first.wait_for()
    guest.page.get_by_placeholder("Write here").press("Enter")
    guest.page.get_by_text("stories-small reads text alone").wait_for()


def test_a_head_is_read_by_pointer_and_keyboard_and_switched_off(visit):
    guest = visit()
    guest.open("Attention")
    guest.page.locator("button.head[data-pick='4,5']").click()
    guest.page.get_by_text("Layer 4, head 5", exact=True).wait_for()
    guest.page.locator(".map td[data-say]").locator("visible=true").nth(0).hover()
    reading = guest.page.locator(".map").locator("visible=true").locator("xpath=../..").locator(".reading")
    assert re.search(r"\(token 0\) looks at .* \(token 0\): 1\.000", reading.inner_text())
    guest.page.locator("table.map").locator("visible=true").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        guest.page.keyboard.press(key)
    assert re.search(r"\(token 1\) looks at .* \(token 1\): 0\.\d{3}", reading.inner_text())
    guest.page.get_by_role("button", name="Chosen head off / on").click()
    guest.page.get_by_text("loss without them").wait_for()
    assert "layer 4, head 5" in guest.page.locator(".facts").locator("visible=true").first.inner_text()
    guest.page.get_by_role("button", name="All on").click()
    guest.page.get_by_text("loss without them").wait_for(state="detached")


def test_a_token_is_chosen_by_hand_and_taken_back_by_keyboard_alone(visit):
    guest = visit()
    guest.open("Sampling")
    token = guest.page.locator("button.take").nth(1)
    name = token.inner_text()
    token.focus()
    guest.page.keyboard.press("Enter")
    guest.page.locator(".written").first.wait_for()
    assert guest.page.locator(".written").all_inner_texts() == [name]
    guest.page.get_by_role("button", name="Sample 10").click()
    guest.page.wait_for_function("() => document.querySelectorAll('.written').length === 11")
    guest.page.locator(".written").nth(1).focus()
    guest.page.keyboard.press("Enter")
    guest.page.wait_for_function("() => document.querySelectorAll('.written').length === 1")
    assert guest.page.locator(".written").all_inner_texts() == [name]


def test_no_script_in_a_text_or_a_file_name_is_run(visit, tmp_path):
    attack = "<img src=x onerror=\"alert('text')\"><script>alert('script')</script>[a](javascript:alert('link'))"
    guest = visit()
    guest.say(attack)
    assert "[a](javascript:alert('link'))" in guest.page.locator(".message.user").first.inner_text()
    for tab in ("Attention", "Logit lens", "Tokenizers"):
        guest.open(tab)
        guest.page.get_by_role("textbox", name=re.compile("Your (sentence|text)")).locator("visible=true").fill(
            "<b onclick=alert(1)> <img src=x onerror=alert(2)>"
        )
        guest.page.get_by_role("button", name="Look").locator("visible=true").click()
        guest.page.wait_for_timeout(1500)
    guest.open("Chat")
    file = tmp_path / "<img src=x onerror=alert(3)>.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, "PNG")
    guest.page.locator("input[type=file]").first.set_input_files(file)
    guest.page.locator(".thumbnail-item, .thumbnails img").first.wait_for()
    guest.page.get_by_placeholder("Write here").press("Enter")
    guest.page.get_by_text("reads text alone").wait_for()
    assert guest.dialogs == []
    assert guest.page.locator("[onerror], [onclick]").count() == 0


def test_without_the_password_there_is_a_login_and_nothing_else(visit, start, browser, screenshots):
    address = start("stories-small", "--login", "guest:let-me-in")
    context = browser.new_context()
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.get_by_role("button", name="Login").wait_for()
    page.screenshot(path=screenshots / "login.png")
    assert page.get_by_role("tab").count() == 0
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert context.request.get(f"{address}/config").status == 401
    assert context.request.post(f"{address}/gradio_api/queue/join", data=json.dumps({"data": []})).status == 401
    page.get_by_label("username").fill("guest")
    page.get_by_label("password").fill("let-me-in")
    page.get_by_role("button", name="Login").click()
    page.get_by_role("tab", name="Chat").wait_for()
    context.close()


def test_pictures_for_the_docs_are_small(visit, screenshots):
    guest = visit(width=1000)
    guest.page.set_viewport_size({"width": 1000, "height": 760})
    guest.say(OPENING)
    guest.page.screenshot(path=screenshots / "demo-chat.png", full_page=True)
    guest.open("Attention")
    guest.page.locator("button.head[data-pick='1,3']").click()
    guest.page.get_by_text("Layer 1, head 3", exact=True).wait_for()
    guest.page.screenshot(path=screenshots / "demo-attention.png", full_page=True)
    for name in ("demo-chat.png", "demo-attention.png"):
        assert (screenshots / name).stat().st_size < 200_000
