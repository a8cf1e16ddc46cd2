import os
import signal
import subprocess
import sys
import time

import pytest
import typer

from gemini_workshop import __version__
from gemini_workshop.cli.main import app

COMMANDS = [
    "doctor",
    "lab",
    "lesson",
    "progress",
    "train",
    "evaluate",
    "generate",
    "chat",
    "rehearse",
    "data",
    "notebooks",
]
A_COMMAND_OF_GROUP = {
    **{"data": "get", "evaluate": "perplexity", "lesson": "diff"},
    **{"notebooks": "build", "rehearse": "one-batch"},
}


def program(*arguments: str, source: str = "", **options: object) -> subprocess.Popen[str]:
    """The command as a process of its own; ``source`` runs before it."""
    code = f"import sys; sys.argv = ['gemini-workshop', *sys.argv[1:]]\n{source}\n"
    code += "from gemini_workshop.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **options,  # type: ignore[call-overload]
    )


def test_help_teaches_the_first_steps_and_lists_every_command(run):
    text = run("--help").output
    assert "gemini-workshop lab" in text
    for command in COMMANDS:
        assert f"\n  {command} " in text


def test_no_command_at_all_shows_the_help(run):
    assert "First steps:" in run().output


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_shows_how_to_call_it(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    if command in A_COMMAND_OF_GROUP:
        result = run(command, A_COMMAND_OF_GROUP[command], "--help")
    assert f"gemini-workshop {command}" in result.output.split("Example", 1)[1]


def test_every_option_is_explained():
    def commands(group):
        for command in group.commands.values():
            yield from commands(command) if hasattr(command, "commands") else [command]

    unexplained = [
        f"{command.name} {parameter.name}"
        for command in commands(typer.main.get_command(app))
        for parameter in command.params
        if not parameter.help
    ]
    assert unexplained == []


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(run, option):
    assert run(option).output == f"gemini-workshop {__version__}\n"


def test_the_package_is_a_program_too():
    command = [sys.executable, "-m", "gemini_workshop", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("gemini-workshop ")


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [(["docter"], "'doctor'"), (["lab", "--prot", "9"], "--port"), (["notebooks", "biuld"], "'build'")],
)
def test_an_unknown_name_is_answered_with_the_closest_one(run, arguments, nearest):
    result = run(*arguments)
    assert result.exit_code == 2
    assert nearest in result.output


def test_a_workshop_error_is_its_message_and_exit_code_two():
    process = program("lab", "77")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("There is no lesson '77'. Did you mean '07'? Known: 00, ")
    assert "Traceback" not in err


def test_a_warning_is_its_message_and_nothing_of_python(tmp_path):
    (tmp_path / "progress.json").write_text("{")
    process = program("progress", env=os.environ | {"GEMINI_WORKSHOP_HOME": str(tmp_path)})
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Lesson 06" in out
    assert err.startswith("Warning: progress.json was damaged")
    assert err.count("\n") == 1


def test_any_other_error_keeps_its_traceback():
    source = "from gemini_workshop.lessons import folder; folder.find_copy = lambda *_: 1 / 0"
    process = program("lab", source=source)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" in err
    assert "ZeroDivisionError" in err


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process")
def test_ctrl_c_ends_quietly():
    source = (
        "import time; from gemini_workshop.lessons import folder\n"
        "def wait(*_):\n    print('waiting', flush=True)\n    time.sleep(60)\n"
        "folder.find_copy = wait"
    )
    process = program("lab", source=source)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.strip(), err.strip()) == (130, "", "")


def test_a_character_that_the_console_cannot_show_is_replaced():
    source = "from gemini_workshop.lessons import folder\nfolder.find_copy = lambda *_: sys.exit(print('cafe \\u25cb'))"
    process = program("lab", source=source, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "cafe ?\n")
