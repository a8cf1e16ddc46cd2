"""Lesson 02 as a learner meets it: a real JupyterLab in a real browser.

    pytest -m browser --screenshots DIR

Needs the extra ``browser`` (playwright) and Chromium or Chrome on the machine.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from gemini_workshop.paths import clone_folder
from tests.notebooks.lessons import LESSONS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
COMMAND = shutil.which("gemini-workshop", path=str(Path(sys.executable).parent))
LESSON = next((lesson for lesson in LESSONS if lesson.id == "02"), None)
EXERCISES = ["02.1", "02.2", "02.3", "02.4"]
TOKEN = "only-for-this-test"
SECONDS = 120

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

# The notebook as JupyterLab holds it, also the parts that are scrolled out of sight.
NOTEBOOK = "window.jupyterapp.shell.currentWidget"
STATE = f"""() => {{
  const cells = [...{NOTEBOOK}.content.model.cells].map(cell => cell.toJSON());
  return {{
    kernel: {NOTEBOOK}.sessionContext.session?.kernel?.status,
    cells: cells.filter(cell => cell.cell_type === 'code'),
  }};
}}"""
IDLE = f"() => ({STATE})().kernel === 'idle'"
ALL_RUN = f"() => ({IDLE})() && ({STATE})().cells.every(cell => cell.execution_count)"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """JupyterLab, started by our own command from a copy of the repository: nobody's lessons are touched."""
    if CHROMIUM is None:
        pytest.skip("no Chromium or Chrome on this machine")
    if LESSON is None or COMMAND is None:
        pytest.skip("this is not a clone installed with pip install -e .")
    clone, top = tmp_path_factory.mktemp("clone"), clone_folder()
    shutil.copy(top / "pyproject.toml", clone)
    for folder in ("gemini_workshop", "notebooks", "data/samples"):
        ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(top / folder, clone / folder, ignore=ignored)
    config = clone / "config"
    config.mkdir()
    (config / "jupyter_lab_config.py").write_text("c.LabApp.expose_app_in_browser = True\n", "utf-8")
    folders = {f"JUPYTER_{kind}_DIR": str(clone / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    own = {
        "GEMINI_WORKSHOP_HOME": str(clone / "home"),
        "GEMINI_WORKSHOP_LESSONS": str(clone / "lessons"),
        "IPYTHONDIR": str(clone / "ipython"),
        "JUPYTER_TOKEN": TOKEN,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(clone),
    }
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"} | folders | own
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with (clone / "lab.log").open("wb") as log:
        server = subprocess.Popen(
            [COMMAND, "lab", "02", "--no-browser", "--port", str(port)], stdout=log, stderr=log, env=environment
        )
    try:
        wait_for_server(server, port, clone / "lab.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def wait_for_server(server, port, log):
    end = time.monotonic() + SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=2).close()
            return
        except OSError:
            assert server.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < end, log.read_text("utf-8")
            time.sleep(0.2)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install -e '.[browser]'")
    if CHROMIUM is None:
        pytest.skip("no Chromium or Chrome on this machine")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def page(browser, address):
    """The starter of lesson 02, open and run from top to bottom as it comes."""
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    tab.set_default_timeout(SECONDS * 1000)
    tab.goto(f"{address}/lab/tree/{LESSON.files['starter']}?token={TOKEN}")
    tab.wait_for_selector(".jp-NotebookPanel .jp-CodeCell")
    tab.wait_for_function(IDLE)
    tab.set_viewport_size({"width": 1200, "height": 16000})  # so that every cell is drawn
    tab.get_by_role("menuitem", name="Run", exact=True).click()
    tab.locator(".lm-Menu-item", has_text="Run All Cells").first.click()
    tab.wait_for_function(ALL_RUN)
    return tab


@pytest.fixture
def picture(page, request, tmp_path):
    """Save what the page shows under the name of the test, whether it passes or not."""
    yield
    folder = Path(request.config.getoption("--screenshots") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{request.node.name}.png")


def check_cell(page, exercise_id):
    """The check cell of an exercise in the page."""
    return page.locator(".jp-CodeCell").filter(has_text=f'check("{exercise_id}"')


def answer(page, exercise_id, old="", new=""):
    """Type the solution's cell, changed in one place, into the starter; run it and its check; read the verdict."""
    cell = next(
        cell for cell in LESSON.cells for region in cell.regions if LESSON.exercise_of(cell, region) == exercise_id
    )
    text = LESSON.text(cell, "solution")
    assert old in text
    function = cell.regions[0].name
    editor = page.locator(".jp-CodeCell .cm-content").filter(has_text=f"def {function}(")
    editor.click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(text.replace(old, new))
    page.keyboard.press("Shift+Enter")
    before = prompt(page, exercise_id)
    check_cell(page, exercise_id).locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    end = time.monotonic() + SECONDS
    while "*" in prompt(page, exercise_id) or prompt(page, exercise_id) == before:
        assert time.monotonic() < end, "the check does not come back"
        page.wait_for_timeout(100)
    return check_cell(page, exercise_id).locator(".jp-OutputArea-output").inner_text()


def prompt(page, exercise_id):
    return check_cell(page, exercise_id).locator(".jp-InputPrompt").inner_text()


def test_nobody_is_asked_about_news(page):
    assert page.locator(".Toastify__toast").count() == 0


@pytest.mark.usefixtures("picture")
def test_the_untouched_starter_runs_without_an_error(page):
    cells = page.evaluate(STATE)["cells"]
    errors = [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    assert len(cells) > 20
    assert errors == []


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_each_exercise_says_that_it_is_not_started(page, exercise_id):
    assert "not started" in check_cell(page, exercise_id).locator(".jp-OutputArea-output").inner_text()


@pytest.mark.usefixtures("picture")
def test_what_to_expect_unfolds_into_its_picture(page):
    folded = page.locator(".jp-RenderedMarkdown details").filter(has=page.locator("img"))
    assert folded.count() >= 1
    assert not folded.first.locator("img").is_visible()
    for i in range(folded.count()):
        folded.nth(i).locator("summary").click()
        image = folded.nth(i).locator("img")
        assert image.is_visible()
        assert image.evaluate("image => image.naturalWidth") > 100


@pytest.mark.usefixtures("picture")
def test_the_solution_typed_in_passes(page):
    assert "passed" in answer(page, "02.2")


@pytest.mark.usefixtures("picture")
def test_leaving_out_the_division_is_said_in_words(page):
    verdict = answer(page, "02.2", " / math.sqrt(query.shape[-1])", "")
    assert "passed" not in verdict
    assert "not divided by" in verdict
    assert "head_dim" in verdict
