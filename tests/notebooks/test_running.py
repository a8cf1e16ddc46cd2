"""Every starter, untouched, runs to its end in time and memory; so does every notebook that has no starter.

The solutions are run by nbval, cell by cell. A starter computes the same as its solution, because each check answers
with the reference, so its time and memory stand for both. Time is the processor's, whatever else the machine does.
"""

import sys

import pytest
from nbformat.v4 import new_code_cell

from gemini_workshop.authoring import kernel
from tests.notebooks.lessons import LESSONS, NOTEBOOKS, committed, name, verdicts

SLOWER = 2  # than the machine of which a header speaks; other work on the same cores slows a processor, too

PROCESSOR_SECONDS = """
import os
print(sum(os.times()[:4]))
"""
# The kernel's high-water mark. Linux only: elsewhere it cannot be told from that of the process that started it.
PEAK_KILOBYTES = """
import re
from pathlib import Path
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.parametrize("lesson", LESSONS, ids=name)
def test_it_runs_untouched_within_its_budget_and_nothing_has_been_started(lesson):
    flavour = "starter" if "starter" in lesson.files else "solution"
    notebook = committed(lesson, flavour)
    seconds_cell, megabytes_cell = new_code_cell(PROCESSOR_SECONDS), new_code_cell(PEAK_KILOBYTES)
    notebook.cells += [seconds_cell, megabytes_cell] if sys.platform == "linux" else [seconds_cell]
    kernel.run(notebook, (NOTEBOOKS / lesson.files[flavour]).parent, skip="nbval-skip")

    if flavour == "starter":
        for exercise_id, verdict in verdicts(notebook, lesson).items():
            assert "not started" in verdict, f"{exercise_id}: {verdict}"
            assert "passed" not in verdict
    seconds = float(seconds_cell.outputs[0].text)
    print(f"{seconds:.0f} seconds of the processor")  # pytest -rP shows it
    assert seconds < SLOWER * lesson.header.budget_seconds
    if sys.platform == "linux":
        megabytes = int(megabytes_cell.outputs[0].text) // 1024
        print(f"{megabytes} MB at the most")
        assert megabytes < lesson.header.budget_megabytes
