"""Wrong files, places and numbers on the command line: each is refused in a few words, before any long work."""

import itertools
import json
import math
import os
import re
import stat
import sys

import pytest
import torch
from typer.main import get_command

from gemini_workshop import diagnostics
from gemini_workshop.cli import main as command_line
from gemini_workshop.cli.main import in_words
from gemini_workshop.cli.options import CheckedCommand, print_json
from gemini_workshop.config import load_config, to_yaml

ROOT = get_command(command_line.app)
SHORT = ("--max-new-tokens", "3")
QUESTION = {"context": "Tom was", "choices": [" happy.", " sad."], "answer": 0}


@pytest.fixture
def questions(tmp_path):
    """Write a file of questions."""

    def write(*lines: object, encoding: str = "utf-8") -> str:
        text = "".join(
            (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)) + "\n" for line in lines
        )
        (tmp_path / "q.jsonl").write_bytes(text.encode(encoding))
        return "q.jsonl"

    return write


def asked(program, file):
    answer = program("evaluate", "choice", "--questions", file, "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


# Text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_prompt_is_the_same_in_every_encoding(program, tmp_path, encoding, line_end):
    (tmp_path / "a.txt").write_bytes(f"Tom was{line_end}happy{line_end}".encode(encoding))
    assert program("generate", "--file", "a.txt", *SHORT).out.startswith("Tom was\nhappy")


@pytest.mark.parametrize(("name", "message"), [
    ("latin.txt", "latin.txt is not text: byte 1 is 0xe4"),
    ("missing.txt", "missing.txt cannot be read: No such file"),
    ("folder", "folder cannot be read: "),
    ("a" * 500, r"aaa\.\.\. cannot be read: File name too long"),
])  # fmt: skip
@pytest.mark.parametrize("option", [
    ("generate", "--file"), ("evaluate", "choice", "--questions"), ("chat", "--load"),
    ("generate", "x", "--json-schema"),
])  # fmt: skip
def test_a_file_that_is_no_text_is_refused(program, tmp_path, option, name, message):
    (tmp_path / "latin.txt").write_bytes("Mädchen".encode("latin-1"))
    (tmp_path / "folder").mkdir()
    err = program.refused(*option, name)
    assert re.search(message, err), err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_questions_of_every_encoding(program, questions, encoding):
    result = asked(program, questions({**QUESTION, "context": "Tom\u2028was"}, "", QUESTION, encoding=encoding))
    assert result["details"]["answers"] == [0, 0]


@pytest.mark.parametrize(("line", "message"), [
    ({**QUESTION, "answer": "A"}, "line 1, is not a question: answer='A' is not a whole number"),
    ({**QUESTION, "answer": 1.9}, "answer=1.9 is not a whole number"),
    ({**QUESTION, "answer": True}, "answer=True is not a whole number"),
    ({**QUESTION, "answer": 2}, "line 1, answer=2 of 2 choices"),
    ({**QUESTION, "context": None}, "context=None is not a text"),
    ({**QUESTION, "choices": " Yes."}, "choices=' Yes.' is not a list of texts"),
    ({**QUESTION, "choices": [1, 2]}, r"choices=[1, 2] is not a list of texts"),
    ({"context": ""}, "choices and answer missing"),
    ([1], "[1] is not an object"),
    ("{", "line 1, is not JSON: "),
    ("[" * 100_000, "line 1, is not JSON: it is nested too deep"),
    ('{"answer": ' + "9" * 5000 + "}", "line 1, is not JSON: it holds a number of too many digits"),
])  # fmt: skip
def test_what_is_not_a_question_is_refused_by_its_line(program, questions, line, message):
    assert message in program.refused("evaluate", "choice", "--questions", questions(line))


# Numbers


@pytest.mark.parametrize(("arguments", "message"), [
    (("--seed", str(2**64)), "--seed 18446744073709551616 is too large"),
    (("--seed", "9" * 5000), "--seed"),
    (("--temperature", "1e-40"), "temperature=1e-40 is too near to 0. Choose 0"),
    (("--temperature", "nan"), "--temperature nan is too large, or is not a number"),
    (("--bias", " dog=inf"), "' dog=inf' is not a bias"),
    (("--max-new-tokens", "9" * 23), "--max-new-tokens 9"),
    (("--beams", "99999999"), "--beams"),
    (("--samples", "9" * 25), "--samples"),
    (("--json-schema", "deep.json"), "nested too deep"),
    (("--json-schema", "list.json"), "The schema is '[]', not an object"),
])  # fmt: skip
def test_a_number_that_cannot_be_meant_is_named(program, tmp_path, arguments, message):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "list.json").write_text("[]")
    assert message in program.refused("generate", "Tom was", *arguments)


@pytest.mark.parametrize(("arguments", "message"), [
    (("evaluate", "needle", "--depths", "9" * 24), "--depths"),
    (("evaluate", "needle", "--lengths", "9" * 5000), "9...' is not a list of positive whole numbers"),
    (("evaluate", "speed", "--new-tokens", "9" * 23), "--new-tokens"),
    (("rehearse", "one-batch", "--sequences", "9" * 24), "--sequences"),
    (("train", "--threads", "9" * 24), "--threads"),
    (("train", "--set", "batch_size=1:30"), "batch_size='1:30' is not a whole number"),
    (("train", "--minutes", "nan"), "--minutes nan is not a time"),
    (("train", "--processes", "9" * 9), "--processes"),
    (("generate", "--max-new-tokens", str(2**62)), "A size is too large for this machine"),
    (("generate", "--length-penalty", "1e400"), "--length-penalty inf is too large, or is not a number"),
    (("chat", "--top-p", "nan"), "--top-p nan is too large, or is not a number"),
    (("evaluate", "needle", "--trials", "1" + "0" * 30), "--trials 1000"),
    (("evaluate", "choice", "--seed", "-1" + "0" * 30), "--seed -1000"),
    (("finetune", "sft", "--count", "9" * 9), "--count"),
])  # fmt: skip
def test_a_size_that_no_machine_has_is_refused_at_once(program, arguments, message):
    assert message in program.refused(*arguments)


def commands(command, *path):
    """Every command below, by its path."""
    if not hasattr(command, "commands"):
        return {path: command}
    below = [commands(each, *path, name) for name, each in command.commands.items()]
    return dict(itertools.chain.from_iterable(each.items() for each in below))


def test_every_command_refuses_numbers_that_cannot_be_meant():
    unchecked = [path for path, each in commands(ROOT).items() if not isinstance(each, CheckedCommand)]
    assert unchecked == []


@pytest.mark.parametrize("threads", [None, 3])
def test_training_takes_the_threads_that_it_is_given(program, monkeypatch, threads):
    taken = []
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    program.refused("train", "--resume", "--out", "missing", *([] if threads is None else ["--threads", str(threads)]))
    assert taken == ([] if threads is None else [threads])


# What scripts and shells read


@pytest.mark.parametrize("arguments", [("progress",), ("data", "list"), ("data", "info", "mnist")])
def test_a_result_as_json_is_json(program, arguments):
    answer = program(*arguments, "--json")
    assert json.loads(answer.out)
    assert program(*arguments).out != answer.out


def test_json_knows_no_infinity(capsys):
    print_json({"losses": [1.5, math.inf, math.nan], "name": "é"})
    assert json.loads(capsys.readouterr().out) == {"losses": [1.5, None, None], "name": "é"}


@pytest.mark.parametrize(("shell", "typed", "found"), [
    ("bash", "gemini-workshop ev", "evaluate"), ("zsh", "gemini-workshop evaluate nee", '"needle":'),
    ("fish", "gemini-workshop data li", "list\t"),
])  # fmt: skip
def test_a_shell_completes_commands(program, monkeypatch, shell, typed, found):
    monkeypatch.setenv("_GEMINI_WORKSHOP_COMPLETE", f"complete_{shell}")
    variables = {"_TYPER_COMPLETE_ARGS": typed, "_TYPER_COMPLETE_FISH_ACTION": "get-args", "COMP_WORDS": typed}
    for name, value in (variables | {"COMP_CWORD": str(typed.count(" "))}).items():
        monkeypatch.setenv(name, value)
    assert found in program().out


@pytest.mark.parametrize(("value", "is_colored"), [("", True), ("1", False)])
def test_no_color_is_heard(program, monkeypatch, value, is_colored):
    monkeypatch.setenv("NO_COLOR", value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    finding = diagnostics.Finding(name="x", verdict="ok", found="y")
    monkeypatch.setattr(diagnostics, "diagnose", lambda: [finding])
    assert ("\x1b[" in program("doctor").out) == is_colored


# Results


@pytest.mark.parametrize(("option", "place", "message"), [
    ("--result", "folder", "it is a folder. Give the name of a new file."),
    ("--result", "file/x.json", "file/x.json cannot be written: Not a directory."),
    ("--result", "pipe", "it is a device or a pipe, not an ordinary file."),
    ("--result", "a" * 500, "cannot be written: File name too long."),
    ("--picture", "folder.png", "it is a folder."),
    ("--picture", "x.abc", "x.abc names no format of a figure. End the name in .png, .svg, .pdf."),
    ("--picture", "pipe.png", "it is a device or a pipe"),
])  # fmt: skip
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    program, tmp_path, monkeypatch, option, place, message
):
    monkeypatch.setattr("gemini_workshop.checkpoint.load_pretrained", lambda *_: pytest.fail("the work began"))
    for name in ("folder", "folder.png"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("mine")
    for name in ("pipe", "pipe.png"):
        os.mkfifo(tmp_path / name)
    assert message in program.refused("evaluate", "choice", option, place)
    assert (tmp_path / "file").read_text() == "mine"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_results_get_the_folder_that_they_need(program, questions, tmp_path):
    places = ("--result", "new/a.json", "--picture", "new/a.png")
    assert program("evaluate", "choice", "--questions", questions(QUESTION), *places).code == 0
    assert json.loads((tmp_path / "new" / "a.json").read_text())["kind"] == "choice"
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("option", ["--result", "--picture"])
def test_a_device_is_never_overwritten(program, option):
    program.refused("evaluate", "choice", option, "/dev/full")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.parametrize(
    "fields", [{"kind": 1}, {"model": 2}, {"scores": [1]}, {"scores": {"a": "b"}}, {"scores": None}]
)
def test_a_damaged_result_is_refused(program, tmp_path, fields):
    usual = {"kind": "choice", "model": {}, "data": {}, "settings": {}, "scores": {}}
    (tmp_path / "r.json").write_text(json.dumps({"format": "gemini-workshop result 1"} | usual | fields))
    assert "r.json is damaged: " in program.refused("evaluate", "results", "r.json")


# Configurations


@pytest.mark.parametrize(("content", "message"), [
    (b"# \xff\xfe", "is not text"),
    (b"x: 1\nx: 2", "'x' is there twice at line 2"),
    (b"x: !!int x", "There is no section called 'x'"),
    (b"[" * 20_000, "nested too deep"),
])  # fmt: skip
def test_a_configuration_that_is_none_is_refused(program, tmp_path, content, message):
    (tmp_path / "mine.yaml").write_bytes(content)
    assert message in program.refused("train", "--preset", "mine.yaml")


def test_a_configuration_with_a_date_is_refused_by_its_field(program, tmp_path):
    text = to_yaml(load_config("tiny")).replace("steps:", "steps: 2020-13-45 #", 1)
    (tmp_path / "mine.yaml").write_text(text)
    assert "steps='2020-13-45' is not a whole number" in program.refused("train", "--preset", "mine.yaml")


# What is left, in the one place that answers it


@pytest.mark.parametrize(("error", "message"), [
    (PermissionError(13, "Permission denied", "a.json"), "a.json: Permission denied. Check the path"),
    (OSError(28, "No space left on device"), "What is printed, or a file: No space left on device."),
    (ModuleNotFoundError("No module named 'transformers'", name="transformers"), 'install "gemini-from-scratch[dev]"'),
    (ModuleNotFoundError("No module named 'httpx._a'", name="httpx._a"), 'install "gemini-from-scratch[scraping]"'),
    (MemoryError(), "A size is too large for this machine"),
    (OverflowError("Python int too large to convert to C long"), "A size is too large for this machine"),
    (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), "A size is too large"),
])  # fmt: skip
def test_an_error_of_the_system_is_answered_in_words(program, monkeypatch, error, message):
    def fail(**_):
        raise error

    monkeypatch.setattr(command_line, "app", fail)
    assert message in program.refused("doctor")


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'x'", name="x"), RuntimeError("shapes differ")])
def test_a_defect_of_ours_keeps_its_traceback(error):
    assert in_words(error) is None
