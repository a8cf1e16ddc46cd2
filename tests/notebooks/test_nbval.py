"""The kernels in which nbval runs the solutions, and what it finds in them."""

import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from gemini_workshop.authoring.kernel import over_budget
from tests.notebooks.lessons import NOTEBOOKS

CELLS = {
    "closed": """
import os
import socket
from gemini_workshop.authoring.offline import NetworkClosedError

assert os.environ["OMP_NUM_THREADS"] == "1"
assert os.environ["GEMINI_WORKSHOP_HOME"] != "mine"
try:
    socket.create_connection(("192.0.2.1", 80), timeout=1)
except NetworkClosedError:
    print("closed")
""",
    "a number": "print('the answer is', 12.7)",
    "a figure": """
import matplotlib.pyplot as plt
figure, axes = plt.subplots()
axes.set(title=TITLE, xlabel="step", ylabel="loss");
""",
    "nothing": "x = 1",
}


def shown(text):
    return [new_output("stream", text=text + "\n")] if text else []


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A notebook under nbval: one cell in order, then cells whose stored outputs are not what they show."""
    folder = tmp_path_factory.mktemp("nbval")
    shutil.copy(NOTEBOOKS / "conftest.py", folder)
    stored = {"closed": "closed", "a number": "the answer is 13.7", "a figure": "", "nothing": "once more"}
    cells = [new_code_cell(CELLS[name], execution_count=1, outputs=shown(text)) for name, text in stored.items()]
    cells[0].metadata["tags"] = ["nbval-check-output"]
    cells[2].source = cells[2].source.replace("TITLE", repr("A finding"))
    nbformat.write(new_notebook(cells=cells), folder / "90_tests.ipynb")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir=.", "--nbval-lax", "--nbval-current-env", "."],
        cwd=folder,
        env=os.environ | {"GEMINI_WORKSHOP_HOME": "mine", "OMP_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        timeout=240,
    ).stdout


def test_nbval_starts_its_kernels_offline_with_one_thread_and_a_home_of_their_own(run):
    assert "3 failed, 1 passed" in run, run


@pytest.mark.parametrize(
    "line", ["- the answer is 13.7", "+ the answer is 12.7", "+ [image/png]", "- once more", "notebooks build 90"]
)
def test_an_output_that_is_not_the_stored_one_fails_in_plain_pytest_and_is_shown(run, line):
    assert "The cell shows something else than is stored" in run
    assert line in run


@pytest.mark.parametrize(("seconds", "megabytes", "found"), [
    (10**6, 10**6, None), (0, 10**6, r"\d+ seconds, budget_seconds is 0"), (10**6, 1, r"\d+ MB, budget_megabytes is 1"),
])  # fmt: skip
def test_a_kernel_that_has_taken_too_much_is_told(seconds, megabytes, found):
    header = SimpleNamespace(budget_seconds=seconds, budget_megabytes=megabytes)
    told = over_budget(os.getpid(), header)
    assert told is None if found is None else re.fullmatch(found, told)
