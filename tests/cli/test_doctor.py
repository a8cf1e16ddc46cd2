import json

import pytest

from gemini_workshop import diagnostics
from gemini_workshop.diagnostics import Finding

HEALTHY = [Finding("Python", "ok", "3.12.0"), Finding("browser tests", "note", "no chromium")]
BROKEN = [*HEALTHY, Finding("einops", "fail", "missing; >=0.8 is needed", 'pip install "einops>=0.8"')]


@pytest.fixture
def machine(monkeypatch):
    return lambda findings: monkeypatch.setattr(diagnostics, "diagnose", lambda: findings)


def test_a_healthy_machine_shows_the_next_command(run, machine):
    machine(HEALTHY)
    result = run("doctor")
    assert result.exit_code == 0
    assert result.output.splitlines()[0].split() == ["ok", "Python", "3.12.0"]
    assert result.output.endswith("Ready: gemini-workshop lab\n")


def test_a_failure_shows_its_fix_and_ends_in_exit_code_one(run, machine):
    machine(BROKEN)
    result = run("doctor")
    assert result.exit_code == 1
    assert 'fix: pip install "einops>=0.8"' in result.output
    assert result.output.endswith("\n1 problem found; its fix is above.\n")


@pytest.mark.parametrize(("findings", "exit_code"), [(HEALTHY, 0), (BROKEN, 1)])
def test_json_holds_the_same_findings_and_the_same_exit_code(run, machine, findings, exit_code):
    machine(findings)
    result = run("doctor", "--json")
    assert result.exit_code == exit_code
    assert [Finding(**values) for values in json.loads(result.output)] == findings


def test_the_real_machine_gets_one_verdict_per_line(run):
    lines = run("doctor").output.split("\n\n")[0].splitlines()
    assert all(line.startswith(("ok ", "note ", "fail ", " ")) for line in lines)
    assert any(line.split()[:2] == ["ok", "torch"] for line in lines)
