"""The command line in this process, as a user meets it: exit code, what is printed, no traceback."""

import sys
from typing import NamedTuple

import pytest

from gemini_workshop.cli.main import main


class Answer(NamedTuple):
    """What a command left on the screen."""

    code: int
    out: str
    err: str


class Program:
    """Calls the command line; whatever would end in a traceback is raised in the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *arguments: str) -> Answer:
        """Run a command."""
        self.monkeypatch.setattr(sys, "argv", ["gemini-workshop", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capsys.readouterr()
        return Answer(int(ended.value.code or 0), out, err)

    def refused(self, *arguments: str) -> str:
        """Run a command that must be refused, in few words; return them."""
        answer = self(*arguments)
        assert answer.code == 2, answer
        assert "Traceback" not in answer.err
        assert "object at 0x" not in answer.err
        assert len(answer.err) < 1500
        assert answer.err.startswith("Usage:") or answer.err.endswith(".\n")
        return answer.err
