"""The kernels in which nbval runs the solutions."""

import os
import shutil
import subprocess
import sys

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from tests.notebooks.lessons import NOTEBOOKS

CELL = """
import os
import socket
from gemini_workshop.authoring.offline import NetworkClosedError

assert os.environ["OMP_NUM_THREADS"] == "1"
assert os.environ["GEMINI_WORKSHOP_HOME"] != "mine"
try:
    socket.create_connection(("192.0.2.1", 80), timeout=1)
except NetworkClosedError:
    print("closed")
"""


def test_nbval_starts_its_kernels_offline_with_one_thread_and_a_home_of_their_own(tmp_path):
    shutil.copy(NOTEBOOKS / "conftest.py", tmp_path)
    cell = new_code_cell(CELL, execution_count=1, metadata={"tags": ["nbval-check-output"]})
    cell.outputs = [nbformat.v4.new_output("stream", text="closed\n")]
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "90_tests.ipynb")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir=.", "--nbval-lax", "--nbval-current-env", "."],
        cwd=tmp_path,
        env=os.environ | {"GEMINI_WORKSHOP_HOME": "mine", "OMP_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "1 passed" in run.stdout, run.stdout
