import os

import pytest
from typer.testing import CliRunner

from gemini_workshop.cli.main import app


@pytest.mark.skipif("GEMINI_WORKSHOP_MIRROR" not in os.environ, reason="needs the recordings in a local mirror")
def test_the_quick_benchmark_leaves_every_speaker_out_in_turn():
    result = CliRunner().invoke(app, ["benchmark", "speakers", "--quick"])
    assert result.exit_code == 0, result.output
    lines = result.stdout[result.stdout.index("Spoken digits by") :].splitlines()
    named = [line.split()[0] for line in lines[2:-1]]
    assert named == sorted(set(named))
    assert len(named) >= 4
    assert all(line.split()[-1] == "4" for line in lines[2:-1])
    assert lines[-1].startswith("mean over the speakers")
