"""What importing the package costs and brings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh Python outside of the clone, warnings being errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments], capture_output=True, text=True, timeout=120, cwd=TESTS
    )


def test_importing_the_package_is_quiet_and_brings_no_torch():
    run = python("-c", "import sys, gemini_workshop; sys.exit('torch' in sys.modules or 'yaml' in sys.modules)")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_importing_the_command_line_brings_nothing_heavy():
    heavy = {"torch", "numpy", "jupyterlab", "yaml", "matplotlib", "rich", "IPython"}
    run = python("-c", f"import sys, gemini_workshop.cli.main; print({heavy!r} & set(sys.modules))")
    assert (run.stdout, run.stderr) == ("set()\n", "")


def test_every_module_imports_with_only_the_core_dependencies():
    run = subprocess.run(
        [sys.executable, TESTS / "import_everything.py"],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("imported ")


@pytest.mark.parametrize("name", ["jupytext", "transformers", "beartype", "hypothesis"])
def test_what_only_developers_install_is_hidden_from_that_test(name):
    from tests.import_everything import Hidden

    assert name in Hidden().names


def test_what_learners_install_is_not_hidden_from_that_test():
    from tests.import_everything import Hidden

    assert not {"torch", "numpy", "IPython", "typer", "nbformat"} & Hidden().names
