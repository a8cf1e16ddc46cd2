"""The instructor's page with forty learners, in a real browser: on a phone and a projector, light and dark.

pytest -m browser --screenshots DIR tests/browser/test_room.py
"""

import random
from pathlib import Path

import pytest

from gemini_workshop.benchmarks.room import learner_of, opened_room
from gemini_workshop.exercises.core.catalogue import all_exercises
from gemini_workshop.exercises.core.room import send
from gemini_workshop.exercises.core.verdict import Outcome
from tests.browser.test_lab import browser  # noqa: F401 (a fixture)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LEARNERS = 40
NAMES = {3: "<b>Bold</b><script>document.title='broken'</script>", 4: "Wolfeschlegelsteinhausenbergerdorff-Bergholz"}
OUTSIDE = []


@pytest.fixture(scope="module")
def room():
    """A morning in lesson 02: most are at 02.2, some further, some behind, one has only joined."""
    dice, exercises = random.Random(0), [each for each in all_exercises().values() if each.lesson in ("01", "02")]
    with opened_room() as room:
        for number in range(LEARNERS):
            seat = learner_of(room, number, NAMES.get(number, f"Learner {number:02}"))
            send(seat)
            reached = 0 if not number else dice.choice([3, 4, 5, 5, 5, 5, 6, 7])
            for each in exercises[:reached]:
                send(seat, {"exercise": each.id, "outcome": str(Outcome.PASSED), "mistake": ""})
            if number:
                each = exercises[reached]
                outcome = dice.choice([Outcome.WRONG, Outcome.WRONG, Outcome.ERROR, Outcome.NOT_STARTED])
                known = list(each.misconceptions) if outcome == Outcome.WRONG else [""]
                report = {"exercise": each.id, "outcome": str(outcome), "mistake": dice.choice(known[:3])}
                for _ in range(dice.randint(1, 4)):
                    send(seat, report)
        yield room


@pytest.fixture(
    scope="module", params=[(375, 812, "light"), (375, 812, "dark"), (1440, 900, "light"), (1440, 900, "dark")]
)
def page(browser, room, request, tmp_path_factory):  # noqa: F811
    width, height, scheme = request.param
    tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    problems = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    tab.on(
        "request",
        lambda asked: (
            problems.append(asked.url) if room.address not in asked.url and not asked.url.startswith("data:") else None
        ),
    )
    tab.goto(room.page)
    tab.wait_for_selector("#people li")
    tab.problems = problems
    folder = Path(request.config.getoption("--screenshots") or tmp_path_factory.mktemp("room"))
    folder.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=folder / f"room-{width}-{scheme}.png", full_page=True)
    yield tab
    tab.close()


def test_all_learners_are_on_the_page(page):
    assert page.locator("#people li").count() == LEARNERS
    assert f"{LEARNERS} learners" in page.locator("#totals").inner_text()


def test_names_are_text_and_nothing_is_asked_of_anybody_else(page):
    assert page.locator("#people .name", has_text="<b>Bold</b>").count() == 1
    assert page.locator("#people b").count() == 0
    assert "broken" not in page.title()
    assert page.problems == []


def test_nothing_is_wider_than_the_screen(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_where_the_room_is_stuck_comes_first_and_names_the_mistakes(page):
    stuck = page.locator("#stuck .card")
    counts = [int(text) for text in page.locator("#stuck .count").all_inner_texts()]
    assert stuck.count() == len(counts) > 1
    assert counts == sorted(counts, reverse=True)
    assert stuck.first.locator(".says").count() >= 1
    first, second = (page.locator(f"h2 >> nth={place}").bounding_box()["y"] for place in (0, 1))
    assert first < second


def test_names_can_be_hidden_for_the_projector(page):
    page.locator("#names").uncheck()
    assert "Learner 0" not in page.locator("body").inner_text()
    page.locator("#names").check()


READABLE = """() => {
  const luminance = (color) => color.match(/[0-9.]+/g).slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor;
      if (!color.startsWith("rgba(0, 0, 0, 0")) return color;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll("main *, header *")]
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((element) => {
      const [a, b] = [luminance(getComputedStyle(element).color), luminance(ground(element))];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return { text: element.textContent.slice(0, 30), contrast, size: parseFloat(getComputedStyle(element).fontSize) };
    });
}"""


def test_every_text_can_be_read(page):
    texts = page.evaluate(READABLE)
    assert len(texts) > LEARNERS
    assert [text for text in texts if text["contrast"] < 4.5 or text["size"] < 13] == []


def test_a_wrong_key_shows_a_sentence_and_no_learner(browser, room):  # noqa: F811
    tab = browser.new_page()
    tab.goto(f"http://{room.address}/#wrong")
    tab.wait_for_selector("#trouble:not([hidden])")
    assert "This page is the instructor's" in tab.locator("#trouble").inner_text()
    assert not tab.locator("main").is_visible()
    tab.close()
