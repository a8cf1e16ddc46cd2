"""The clone that the tests run in."""

import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]


def tracked_files() -> list[str]:
    """What is committed or about to be, as paths from the top; a test that asks outside of a clone is skipped."""
    if not (TOP / ".git").exists():
        pytest.skip("not a clone")
    return subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=True).stdout.splitlines()
