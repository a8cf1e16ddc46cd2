"""The commands and the Python of docs/serving.md, against servers of the models that they name."""

import json
import re
import shlex
import shutil
import subprocess

import pytest
import typer

from gemini_workshop.benchmarks.serve import running_server
from gemini_workshop.cli.main import app
from gemini_workshop.config import GenerationConfig
from gemini_workshop.serving.prompts import MAX_PIXELS
from gemini_workshop.serving.protocol import MAX_STOPS, MAX_TOP, Body, ChatBody, CompletionBody
from tests.clone import TOP
from tests.test_readme import blocks, commands

PAGE = (TOP / "docs" / "serving.md").read_text("utf-8")
PYTHON = [block for language, block in blocks(PAGE) if language == "python"]


@pytest.fixture(scope="module")
def address():
    with running_server("stories-small", "--threads", "1") as (address, _):
        yield address.removesuffix("/v1")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_curl_of_the_page_gets_an_answer(address):
    found = [words for words in commands(PAGE) if words[0] == "curl"]
    for words in found:
        moved = [word.replace("http://127.0.0.1:8000", address) for word in words]
        said = subprocess.run(moved, capture_output=True, text=True, check=True, timeout=100).stdout
        assert "error" not in said, (words, said)
        assert said.endswith("data: [DONE]\n\n") or json.loads(said)
    assert len(found) == 3


def test_the_python_of_the_page_prints_what_the_model_writes(address, capsys):
    namespace = {}
    exec(PYTHON[0].replace("http://127.0.0.1:8000", address), namespace)
    namespace["client"].close()
    assert len(capsys.readouterr().out.split()) > 20


def test_the_python_of_the_page_asks_about_an_image(capsys, monkeypatch):
    monkeypatch.chdir(TOP)
    with running_server("mini-gemini", "--threads", "1") as (address, _):
        namespace = {}
        program = PYTHON[1].replace("http://127.0.0.1:8001/v1", address)
        exec("from openai import OpenAI\n" + program, namespace)
        namespace["eyes"].close()
    assert capsys.readouterr().out.strip().isalpha()


def test_the_page_names_every_field_and_every_option():
    table = re.findall(r"`(\w+)`", PAGE)
    fields = {*Body.model_fields, *CompletionBody.model_fields, *ChatBody.model_fields} - {"tool_choice"}
    assert sorted(fields - set(table)) == []
    serve = typer.main.get_command(app).commands["serve"]
    options = {option for parameter in serve.params for option in parameter.opts if option.startswith("--")}
    assert sorted(option for option in options - {"--help"} if f"`{option}`" not in PAGE and option not in PAGE) == []


def test_the_numbers_of_the_page_are_those_of_the_program():
    assert f"up to {MAX_STOPS} texts" in PAGE
    assert f"up to {MAX_TOP} at each place" in PAGE
    assert f"{MAX_PIXELS:,} pixels" in PAGE
    assert f"{GenerationConfig().max_new_tokens} by default" in PAGE
    assert shlex.split("gemini-workshop benchmark serve") in commands(PAGE)
