import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from gemini_workshop import paths
from gemini_workshop.cli.lab import find_notebook
from gemini_workshop.errors import WorkshopError

NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def lessons(tmp_path):
    """A notebooks folder with a lesson of each kind."""
    folder = tmp_path / "notebooks"
    names = ["00_setup.ipynb", "part2/02_attention_starter.ipynb", "part2/02_attention_solution.ipynb"]
    no_lessons = ["part2/03_heads_solution.ipynb", "part2/.ipynb_checkpoints/07_gone-checkpoint.ipynb"]
    for name in [*names, *no_lessons]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(NOTEBOOK), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("lesson", "name"),
    [("00", "00_setup.ipynb"), ("02", "part2/02_attention_starter.ipynb"), ("2", "part2/02_attention_starter.ipynb")],
)
def test_a_lesson_opens_in_its_starter_or_its_only_notebook(lessons, lesson, name):
    assert find_notebook(lessons, lesson) == lessons / name


def test_an_unknown_lesson_is_answered_with_the_known_ones(lessons):
    with pytest.raises(WorkshopError, match=r"There is no lesson '05'\. Did you mean '0[02]'\? Known: 00, 02\."):
        find_notebook(lessons, "05")


def test_lessons_that_were_never_built_are_an_error_with_the_cure(tmp_path):
    with pytest.raises(WorkshopError, match="gemini-workshop notebooks build"):
        find_notebook(tmp_path, "00")


def test_an_installed_package_says_that_the_lessons_come_with_a_clone(run, monkeypatch):
    monkeypatch.setattr(paths, "notebooks_folder", lambda: None)
    result = run("lab")
    assert isinstance(result.exception, WorkshopError)
    assert "come with a clone of the repository" in str(result.exception)


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process")
def test_jupyterlab_serves_the_lesson_on_this_machine_until_ctrl_c(lessons, tmp_path):
    with socket.socket() as taken:  # a port that someone else holds: Jupyter takes another
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        source = (
            "import sys; from pathlib import Path; from gemini_workshop import paths\n"
            f"paths.notebooks_folder = lambda: Path({str(lessons)!r})\n"
            "from gemini_workshop.cli.main import main; main()"
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
        for kind in ("CONFIG", "DATA", "RUNTIME"):
            environment[f"JUPYTER_{kind}_DIR"] = str(tmp_path / kind)
        process = subprocess.Popen(
            [sys.executable, "-c", source, "lab", "02", "--no-browser", "--port", str(port)],
            stdin=os.openpty()[1],  # at a terminal Jupyter would ask whether Ctrl-C was meant
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            address = _address(process)
            assert f":{port}/" not in address
            path, token = re.fullmatch(r"http://127\.0\.0\.1:\d+(/\S+)\?token=(\w+)", address).groups()
            assert path == "/lab/tree/part2/02_attention_starter.ipynb"
            server = address.split("/lab/")[0]
            assert json.loads(_get(f"{server}/api?token={token}"))["version"]
            listed = json.loads(_get(f"{server}/api/contents/?token={token}"))["content"]
            assert {item["name"] for item in listed} == {"00_setup.ipynb", "part2"}
            page = _get(address)
            settings = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
            assert settings["news"] == {"disabled": True}
            assert settings["extensionManager"]["can_install"] is False
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    """What JupyterLab says when it is ready."""
    assert process.stderr is not None
    deadline, said = time.monotonic() + 60, ""
    while time.monotonic() < deadline and process.poll() is None:
        said += (line := process.stderr.readline())
        if found := re.search(r"http://127\.0\.0\.1:\S+", line):
            return found[0]
    pytest.fail(f"JupyterLab did not start: {said}")


def _get(url: str) -> str:
    """What the server answers; it announces its address a moment before it listens."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.read().decode()
        except ConnectionError:
            time.sleep(0.1)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionError):
                raise
            time.sleep(0.1)
    pytest.fail(f"nobody listens at {url}")
