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
from typer.testing import CliRunner

from gemini_workshop.cli import lab
from gemini_workshop.cli.main import app
from gemini_workshop.errors import WorkshopError
from gemini_workshop.exercises.core import room
from gemini_workshop.lessons.folder import find_copy

NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def opened(monkeypatch):
    """What JupyterLab would have been started with, call by call."""
    calls = []
    monkeypatch.setattr(lab, "_serve", lambda *arguments: calls.append(arguments))
    return calls


def test_lab_lays_the_lessons_out_once_and_opens_the_learners_copy(run, opened, tmp_path):
    result = run("lab", "2", "--no-browser", "--port", "9000")
    [(folder, notebook, port, browser)] = opened
    assert (folder, port, browser) == (tmp_path / "lessons", 9000, False)
    assert notebook.as_posix() == "part2_fundamentals/02_attention_mechanism_starter.ipynb"
    assert f"Your lessons are in {folder} (copied now: 00, 01, 02" in result.output

    (folder / notebook).write_text("my work", "utf-8")
    assert run("lab", "2").output == f"Your lessons are in {folder}\n"
    assert (folder / notebook).read_text("utf-8") == "my work"


def test_lab_works_in_the_folder_that_was_named_and_finds_it_from_anywhere(run, opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("lab", "--folder", "elsewhere")
    assert opened[0][0] == tmp_path / "elsewhere"
    assert (tmp_path / "elsewhere" / "00_setup_and_verification.ipynb").is_file()
    assert not (tmp_path / "lessons").exists()


def test_lab_says_which_lessons_have_a_newer_starter(run, opened, tmp_path):
    run("lab")
    find_copy(tmp_path / "lessons", "02").began_as.write_text("an older starter", "utf-8")
    output = run("lab").output
    assert output.endswith("Lesson 02 has a newer starter: gemini-workshop lesson update 02\n")
    assert output.count("newer") == 1


@pytest.mark.parametrize("port", ["99999", "65536", "0", "-1"])
@pytest.mark.usefixtures("opened")
def test_a_port_that_cannot_be_is_refused(run, port):
    result = run("lab", "--port", port)
    assert result.exit_code == 2
    assert f"Invalid value for '--port': {port} is not a port. Choose one from 1 to 65535" in result.output


@pytest.mark.parametrize("port", ["1", "65535"])
def test_any_other_port_is_tried(run, opened, port):
    run("lab", "--port", port)
    assert opened[0][2] == int(port)


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process")
def test_jupyterlab_serves_the_lesson_on_this_machine_until_ctrl_c(tmp_path):
    shipped = tmp_path / "notebooks" / "part2" / "02_attention_starter.ipynb"
    shipped.parent.mkdir(parents=True)
    shipped.write_text(json.dumps(NOTEBOOK), "utf-8")
    with socket.socket() as taken:  # a port that someone else holds: Jupyter takes another
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        source = (
            "import sys; from pathlib import Path; from gemini_workshop import paths\n"
            f"paths.notebooks_folder = lambda: Path({str(tmp_path / 'notebooks')!r})\n"
            "from gemini_workshop.cli.main import main; main()"
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
        for kind in ("CONFIG", "DATA", "RUNTIME"):
            environment[f"JUPYTER_{kind}_DIR"] = str(tmp_path / kind)
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                source,
                "lab",
                "02",
                "--folder",
                tmp_path / "mine",
                "--no-browser",
                "--port",
                str(port),
            ],
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
            assert {item["name"] for item in listed} == {"part2"}
            page = _get(address)
            settings = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
            assert settings["news"] == {"disabled": True}
            asked = json.loads(
                _get(f"{server}/lab/api/settings/@jupyterlab/apputils-extension:notification?token={token}")
            )
            assert asked["schema"]["properties"]["fetchNews"]["default"] == "false"  # "none" asks at every start
            assert settings["extensionManager"]["can_install"] is False
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    """The address that JupyterLab prints when it is ready."""
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


# --- The instructor's room ---


@pytest.fixture
def sent(monkeypatch):
    """What was sent to the room, and what it answers: a name, or an error to raise."""
    calls, answers = [], []

    def send(seat):
        calls.append(seat)
        answer = answers.pop(0) if answers else {"name": f"{seat.name} 2"}
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(room, "send", send)
    monkeypatch.delenv(room.VARIABLE, raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    calls_and_answers = type("Sent", (), {"calls": calls, "answers": answers})
    return calls_and_answers


def test_lab_joins_a_room_and_its_notebooks_know_it(run, opened, sent):
    output = run("lab", "--room", "10.0.0.1", "--code", "k7m-p4x", "--name", "Ada").output
    assert output.startswith("You are in the room as Ada 2. It sees which exercises you check, the outcomes and the")
    [seat] = sent.calls
    assert (seat.address, seat.code, seat.name) == ("10.0.0.1:8765", "k7m-p4x", "Ada")
    assert json.loads(os.environ[room.VARIABLE])["learner"] == seat.learner
    assert len(opened) == 1


def test_lab_without_a_room_tells_nobody(run, opened, sent):
    run("lab")
    assert (sent.calls, room.VARIABLE in os.environ, len(opened)) == ([], False, 1)


def test_lab_asks_for_the_code_and_the_name(opened, sent):
    result = CliRunner().invoke(app, ["lab", "--room", "10.0.0.1"], input="k7m-p4x\n\n")
    assert result.exit_code == 0, result.output
    assert [(seat.code, seat.name) for seat in sent.calls] == [("k7m-p4x", "guest")]


def test_a_room_that_does_not_answer_does_not_keep_the_lab_closed(run, opened, sent):
    sent.answers.append(OSError(111, "Connection refused"))
    output = run("lab", "--room", "10.0.0.1", "--code", "x", "--name", "Ada").output
    assert "The room at 10.0.0.1:8765 does not answer: Connection refused. Your lessons open without it" in output
    assert (len(opened), room.VARIABLE in os.environ) == (1, True)


def test_a_wrong_code_is_said_before_the_lab_opens(run, opened, sent):
    sent.answers.append(WorkshopError("The code 'x' is not the code of this room."))
    result = run("lab", "--room", "10.0.0.1", "--code", "x", "--name", "Ada")
    assert str(result.exception) == "The code 'x' is not the code of this room."
    assert (len(opened), room.VARIABLE in os.environ) == (0, False)


def test_a_code_without_a_room_is_refused(run, opened):
    result = run("lab", "--code", "x")
    assert (result.exit_code, opened) == (2, [])
    assert "Add --room ADDRESS" in result.output
