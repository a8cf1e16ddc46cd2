import pytest
from typer.testing import CliRunner, Result

from gemini_workshop.cli.main import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call the command line in this process, with a learner's folder of its own."""
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path / "home"))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="gemini-workshop")

    return call
