"""What the prose promises: commands exist and run, links lead somewhere, the map and the tree agree."""

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import gemini_workshop
from gemini_workshop import checkpoint
from gemini_workshop.cli.main import app
from gemini_workshop.data.tasks.words import WORDS
from gemini_workshop.exercises.core.verdict import SYMBOLS
from tests.clone import TOP, tracked_files
from tests.generation.media import TOKENIZER, tiny_model

PAGES = sorted([*TOP.glob("*.md"), *(TOP / "docs").glob("*.md")])
README = (TOP / "README.md").read_text("utf-8")
OPTIONS_OF_PYTEST = {"-n", "2", "--dist", "loadscope", "-m", "browser", "-q", "-x"}
EXTRAS = set(tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"])


# --- Reading the pages ---


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language (or nothing) and content."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def kind(language: str, block: str) -> str:
    """What a fenced block is. A block that is nothing of this makes the test that asks fail."""
    first = block.split(maxsplit=1)[0]
    if language:
        return language
    if first in PROGRAMS:
        return "commands"
    if first in SYMBOLS.values():
        return "verdict"
    if first == "#":
        return "comment"
    if (TOP / first).is_dir():
        return "map"
    raise AssertionError(f"What is this block? Begin it with a program of PROGRAMS or name its language.\n{block}")


def commands(text: str) -> list[list[str]]:
    """Every command of every block of commands, as words, in order."""
    found = []
    for language, block in blocks(text):
        if kind(language, block) == "commands":
            lexer = shlex.shlex(block.replace("\n", " ; "), posix=True, punctuation_chars=";&|")
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if set(word) <= set(";&|"):
                    found += [words] if words else []
                    words = []
                else:
                    words.append(word)
    return found


# --- Is a command right? One judge for each program ---


def judge_workshop(words: list[str]) -> None:
    """Parse as the command line does, run nothing."""
    command = typer.main.get_command(app)
    if words[0].startswith("-"):
        assert words[0] in {name for option in command.params for name in option.opts}, words[0]
        return
    while hasattr(command, "commands"):
        if words[0] not in command.commands and hasattr(command, "default_command"):
            words = [command.default_command, *words]
        name, *words = words
        assert name in command.commands, name
        command = command.commands[name]
    command.make_context(command.name, words)


PACKAGES = {"gemini-from-scratch", "gemini_from_scratch-*.whl"}


def judge_pip(words: list[str]) -> None:
    verb, *rest = words
    assert verb in {"install", "download", "uninstall", "wheel"}
    for word in rest:
        extras = re.fullmatch(r"\.(?:\[(.*)\])?", word)
        if extras and extras[1]:
            assert set(extras[1].split(",")) <= EXTRAS
        elif not extras:
            assert word in {"-e", "-d", "packages", "--no-index", "--find-links", "--no-deps"} | PACKAGES, word


def judge_pytest(words: list[str]) -> None:
    for word in words:
        assert word in OPTIONS_OF_PYTEST or (TOP / word).exists(), word


def judge_make(words: list[str]) -> None:
    makefile = (TOP / "Makefile").read_text("utf-8")
    for word in words:
        assert re.search(rf"^{word}:", makefile, re.MULTILINE), f"make {word}"


def judge_python(words: list[str]) -> None:
    assert words in [["-m", "venv", ".venv"], ["--version"]]


def judge_conda(words: list[str]) -> None:
    assert words in [["env", "create", "-f", "environment.yml"], ["activate", "gemini-workshop"]]


def judge_uv(words: list[str]) -> None:
    """What pip understands, and environments."""
    if words != ["venv", "--python", "3.12"]:
        assert words[0] == "pip"
        judge_pip(words[1:])


def judge_curl(words: list[str]) -> None:
    """Those of docs/serving.md are run by a test of their own."""
    assert any(word.startswith("http://127.0.0.1:8000/") for word in words)


def judge_source(words: list[str]) -> None:
    assert words == [".venv/bin/activate"]


def judge_pre_commit(words: list[str]) -> None:
    assert words == ["install"]


PROGRAMS = {
    "gemini-workshop": judge_workshop,
    "pip": judge_pip,
    "pytest": judge_pytest,
    "make": judge_make,
    "python": judge_python,
    "conda": judge_conda,
    "uv": judge_uv,
    "curl": judge_curl,
    "source": judge_source,
    "pre-commit": judge_pre_commit,
}


def problems(text: str) -> list[str]:
    """What is wrong with the commands of a page."""
    found = []
    for program, *words in commands(text):
        try:
            PROGRAMS[program](words)
        except Exception as error:  # each judge says no in its own way
            found.append(f"{shlex.join([program, *words])}: {type(error).__name__} {error}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_block_exists_with_its_options(page):
    assert problems(page.read_text("utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_workshop_command_within_a_sentence_exists(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for command in re.findall(r"`(gemini-workshop [^`]+)`", prose):
        judge_workshop(shlex.split(command)[1:])


@pytest.mark.parametrize(
    "command",
    [
        "gemini-workshop trian",
        "gemini-workshop train --presett tiny",
        "gemini-workshop data lisst",
        "pip install -e .[develop]",
        "pytest tests/nowhere",
        "make everything",
        "sudo make check",
        "pip install -e . && gemini-workshop laab",
    ],
)
def test_a_wrong_command_is_found(command):
    assert len(problems(f"```\npip install .\n{command}\n```\n")) == 1


def test_the_two_commands_that_the_workshop_is_known_by_are_there():
    assert commands(README)[:2] == [["pip", "install", "-e", "."], ["gemini-workshop", "lab"]]
    assert 'pip install -e ".[dev]" && pytest\n' in README


# --- The commands of README, run in order, made short ---

SHORT = {
    "train": "--device cpu --threads 1 --set steps=2 --set warmup_steps=1 --set eval_batches=1 --set batch_size=2",
    "generate": "--max-new-tokens 3",
}
NOT_HERE = {"lab"}  # has a test of its own that starts and stops it
LONG = ("evaluate", "abilities")  # minutes, and its own tests


def test_the_commands_of_the_readme_run(tmp_path, monkeypatch):
    shutil.copytree(TOP / "docs" / "images", tmp_path / "docs" / "images")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path / "home"))
    ran = []
    for program, *words in commands(README):
        if program == "gemini-workshop" and words[0] not in NOT_HERE and tuple(words[:2]) != LONG:
            result = CliRunner().invoke(app, [*words, *SHORT.get(words[0], "").split()])
            assert result.exit_code == 0, (words, result.output, result.exception)
            ran.append(words[0])
    assert {"train", "generate"} <= set(ran)


def test_the_python_of_the_readme_asks_about_a_picture(monkeypatch, capsys):
    """With the checkpoint that ships; where it does not ship yet, with a model at random."""
    monkeypatch.chdir(TOP)
    if "mini-gemini" not in checkpoint.shipped_names():
        monkeypatch.setattr(checkpoint, "load_pretrained", lambda _: (tiny_model(), TOKENIZER))
    [program] = [block for language, block in blocks(README) if language == "python"]
    assert len([line for line in program.splitlines() if line.strip()]) <= 5
    exec(program, {})
    said = capsys.readouterr().out.strip()
    assert said
    if "mini-gemini" in checkpoint.shipped_names():
        assert said in WORDS


def test_the_story_in_the_readme_is_one_that_the_model_card_shows():
    """The card is written by the program that publishes a model: its first sample is the README's first command."""

    def stories(page):
        quoted = re.findall(r"^(?:>.*\n)+", page, re.MULTILINE)
        return [" ".join(re.sub(r"^>", "", story, flags=re.MULTILINE).split()) for story in quoted]

    card = (TOP / "gemini_workshop" / "checkpoints" / "stories-small" / "MODEL_CARD.md").read_text("utf-8")
    (story,) = stories(README)
    assert stories(card)[0].startswith(story)


# --- Links, the map, the rest ---


def anchor(heading: str) -> str:
    """The name that a heading gets as the target of a link."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        name, _, part = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if part:
            headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            assert part in map(anchor, headings), target


def test_the_readme_links_every_page_of_the_docs():
    linked = {(TOP / target.split("#")[0]).resolve() for target in re.findall(r"\]\((docs/[^)\s]+)\)", README)}
    assert [page.name for page in sorted((TOP / "docs").glob("*.md")) if page.resolve() not in linked] == []


def test_the_map_and_the_tree_agree():
    (drawing,) = [block for language, block in blocks(README) if kind(language, block) == "map"]
    shown, parents = set(), {0: Path()}
    for line in drawing.splitlines():
        depth = (len(line) - len(line.lstrip())) // 4
        path = parents[depth] / line.split()[0]
        parents[depth + 1] = path
        shown.add(path.as_posix())
        assert len(line.split()) > 1, f"{line} says nothing"
    tracked = tracked_files()
    places = {Path(name).parts[0] for name in tracked if "/" in name and not name.startswith(".")}
    package = {"/".join(Path(name).parts[:2]) for name in tracked if name.startswith("gemini_workshop/")}
    package = {name for name in package if (TOP / name).is_dir()}
    assert shown == places | package


def test_no_page_has_an_empty_place_left():
    empty = re.compile(r"\{\w+\}|\bTODO\b|\bTBD\b|\bXXX\b")
    for page in PAGES:
        text = re.sub(r"^```.*?^```$|\$\$.*?\$\$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert not empty.findall(re.sub(r"`[^`]*`", "", text)), page.name


def test_troubleshooting_quotes_our_messages_as_they_are():
    page = (TOP / "docs" / "troubleshooting.md").read_text("utf-8")
    ours = re.findall(r"^### `(.*)`$", page.partition("\n## From the workshop\n")[2], re.MULTILINE)
    package = Path(gemini_workshop.__file__).parent
    source = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    assert len(ours) > 3
    assert [message for message in ours if message not in source] == []


def test_every_setting_in_the_environment_is_explained():
    package = Path(gemini_workshop.__file__).parent
    source = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    explained = (TOP / "docs" / "installation.md").read_text("utf-8")
    for variable in set(re.findall(r"GEMINI_WORKSHOP_[A-Z]+", source)):
        assert f"`{variable}`" in explained
