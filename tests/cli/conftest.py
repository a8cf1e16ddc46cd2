import pytest
from typer.testing import CliRunner, Result

from gemini_workshop.cli.main import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call the command line in this process, with folders of the learner that are its own."""
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GEMINI_WORKSHOP_LESSONS", str(tmp_path / "lessons"))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="gemini-workshop")

    return call
