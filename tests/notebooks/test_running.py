"""Every starter, untouched, runs to its end in time and memory; so does every notebook that has no starter.

The solutions are run by nbval, cell by cell. A starter computes the same as its solution, because each check answers
with the reference, so its time and memory stand for both.
"""

import sys
import time

import pytest
from nbformat.v4 import new_code_cell

from gemini_workshop.authoring import kernel
from tests.notebooks.lessons import LESSONS, NOTEBOOKS, committed, name, verdicts

SHARED_MACHINE = 3  # how much slower than a quiet machine one with other work may be

# The kernel's high-water mark. Linux only: elsewhere it cannot be told from that of the process that started it.
PEAK_KILOBYTES = """
import re
from pathlib import Path
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.parametrize("lesson", LESSONS, ids=name)
def test_it_runs_untouched_within_its_budget_and_nothing_has_been_started(lesson, record_property):
    flavour = "starter" if "starter" in lesson.files else "solution"
    notebook = committed(lesson, flavour)
    if sys.platform == "linux":
        notebook.cells.append(new_code_cell(PEAK_KILOBYTES))

    start = time.perf_counter()
    kernel.run(notebook, (NOTEBOOKS / lesson.files[flavour]).parent, skip="nbval-skip")
    seconds = time.perf_counter() - start

    if flavour == "starter":
        for exercise_id, verdict in verdicts(notebook, lesson).items():
            assert "not started" in verdict, f"{exercise_id}: {verdict}"
            assert "passed" not in verdict
    record_property("seconds", round(seconds, 1))
    assert seconds < SHARED_MACHINE * lesson.header.budget_seconds
    if sys.platform == "linux":
        megabytes = int(notebook.cells[-1].outputs[0].text) // 1024
        record_property("megabytes", megabytes)
        assert megabytes < lesson.header.budget_megabytes
