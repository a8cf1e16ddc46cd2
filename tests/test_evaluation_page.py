"""What docs/evaluation.md says of the sandbox is so."""

import re

import pytest

from gemini_workshop.evaluation.sandbox.running import MIB, Limits
from tests.clone import TOP
from tests.evaluation.sandbox.isolation import why_not_isolated

PAGE = (TOP / "docs" / "evaluation.md").read_text("utf-8")


def test_the_limits_on_the_page_are_those_of_the_sandbox():
    limits = Limits()
    assert f"in memory, {limits.folder_bytes // MIB} MiB and {limits.folder_files} files" in PAGE
    assert f"{limits.processes} processes or threads, {limits.memory_bytes // MIB} MiB of address space" in PAGE
    assert limits.seconds == limits.cpu_seconds == 10
    assert "10 seconds, of the clock and of processor time" in PAGE


@pytest.mark.skipif(bool(why_not_isolated()), reason="programs cannot be isolated on this machine")
def test_the_example_runs_and_passes():
    example = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[-1]
    names = {}
    exec(example, names)
    assert names["outcome"].passed
