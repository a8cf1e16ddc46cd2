"""A short lint: the field's words in docs, lessons, help and errors, in place of private or dated ones."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

import gemini_workshop
from gemini_workshop.cli.main import app
from tests.clone import TOP

PACKAGE = Path(gemini_workshop.__file__).parent
INSTEAD = {
    r"\blikeliest\b": "most likely",
    r"\blikeness(es)?\b": "similarity",
    r"\banew\b": "again",
    r"\bthrice\b": "three times",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b(go|goes|going|went) on with\b": "resume, continue",
    r"\bnats a token\b": "nats per token",
    r"\bverdict a line\b": "one verdict per line",
    r"\bparted (by|from|into|with)\b": "split",
    r"\bfrom nothing\b(?! else| to )": "from scratch",
    r"\bby heart\b": "overfit, memorize",
    r"\bpoisoned\b|\bspoilt\b": "bad, corrupt",
    r"\bheld to a rule\b": "constrained",
    r"(?<!there )\b(is|are) no (?!longer|more|less|better|worse|faster|such|one|match)[a-z]+": "is not a, has no",
}
HISTORY = {"CHANGELOG.md", "decisions.md"}  # what was written then stays


def problems(text: str) -> list[str]:
    """Each word that has a better one, with it."""
    return [
        f"{match[0]!r}: write {better}, as in {text[max(0, match.start() - 30) : match.end() + 30]!r}"
        for pattern, better in INSTEAD.items()
        for match in re.finditer(pattern, re.sub(r"\s+", " ", text), re.IGNORECASE)
    ]


def without_code(page: str) -> str:
    """A page without its blocks and names of code."""
    return re.sub(r"`[^`]*`", "", re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL))


def strings_of(source: str) -> Iterator[str]:
    """Every text in a module: docstrings, errors, helps."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


PAGES = sorted(path for path in [*TOP.glob("*.md"), *(TOP / "docs").glob("*.md")] if path.name not in HISTORY)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_use_the_fields_words(page):
    assert problems(without_code(page.read_text("utf-8"))) == []


@pytest.mark.parametrize("unit", sorted(path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"))
def test_docstrings_errors_and_helps_use_the_fields_words(unit):
    files = sorted((PACKAGE / unit).rglob("*.py")) if (PACKAGE / unit).is_dir() else [PACKAGE / unit]
    texts = {path: "\n".join(strings_of(path.read_text("utf-8"))) for path in files if path.suffix == ".py"}
    assert [f"{path.name}: {problem}" for path, text in texts.items() for problem in problems(text)] == []


@pytest.mark.parametrize("source", sorted((TOP / "notebooks" / "sources").glob("*.py")), ids=lambda path: path.stem)
def test_lessons_use_the_fields_words(source):
    assert problems(source.read_text("utf-8")) == []


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for part, below in getattr(command, "commands", {}).items():
        yield from _commands(below, f"{name} {part}")


COMMANDS = dict(_commands(typer.main.get_command(app), "gemini-workshop"))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_first_line_of_help_is_short_enough_for_the_list_of_commands(name):
    first = (COMMANDS[name].help or "").strip().split("\n\n")[0].split(". ")[0]
    assert 0 < len(first) < 60, first


@pytest.mark.parametrize("text", ["the likeliest token", "It is no virtual machine.", "2 to mend", "1.3 nats a\ntoken"])
def test_a_private_word_is_found(text):
    assert len(problems(text)) == 1


@pytest.mark.parametrize(
    "text", ["There is no corpus", "is no longer", "recommended", "a likely token", "`from nothing`"]
)
def test_a_plain_word_is_not(text):
    assert problems(without_code(text)) == []
