"""How nbval runs the solutions: kernels as the builder's, within budgets, each output compared with the stored one."""

import copy
import os
import tempfile
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

from gemini_workshop.authoring.build import tidy_outputs
from gemini_workshop.authoring.kernel import kernel_environment, over_budget
from gemini_workshop.authoring.outputs import disagreements
from gemini_workshop.authoring.source import find_sources, read_lesson
from gemini_workshop.paths import notebooks_folder

FOLDER = tempfile.TemporaryDirectory(prefix="gemini-workshop-", ignore_cleanup_errors=True)
HEADERS = {
    Path(lesson.files["solution"]).name: lesson.header for lesson in map(read_lesson, find_sources(notebooks_folder()))
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item):
    """The first cell of a notebook starts its kernel, which inherits the environment of this moment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in kernel_environment(Path(FOLDER.name) / item.path.stem).items():
            patch.setitem(os.environ, name, value)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    """What a cell shows now must agree with what is stored: the one execution of a solution serves both."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    stored = copy.deepcopy(item.cell.outputs)  # nbval joins streams in place
    result = yield
    fresh = tidy_outputs(item.cell, item.test_outputs)
    header = HEADERS.get(item.path.name)
    if header and (found := over_budget(item.parent.kernel.km.provisioner.pid, header)):
        item.raise_cell_error(f"Up to this cell the notebook has taken more than its header allows: {found}.")
    rounded = "rounded" in item.cell.metadata.get("tags", ())
    if found := disagreements(stored, fresh, rounded=rounded):
        lesson = item.path.name[:2]
        item.raise_cell_error(
            f"The cell shows something else than is stored (- stored, + now). If it should, run: "
            f"gemini-workshop notebooks build {lesson}",
            "\n".join(found),
        )
    return result
