import pytest

from tests.edges.program import Program


@pytest.fixture
def program(tmp_path, monkeypatch, capsys):
    """The command line, in a folder of its own."""
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Program(monkeypatch, capsys)
