"""Every test: one thread, no windows, and a learner's folder of its own."""

import os
import signal
from typing import Any

import jaxtyping
import pytest

# A shell that runs pytest in the background has it ignore Ctrl-C, and its children after it; some tests send one.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two busy threads on shared cores are slower than one
os.environ["MPLBACKEND"] = "agg"


LONG = "tests/notebooks/test_running.py::"  # a notebook each


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """``--dist loadscope`` gives a file to one worker; this long one would keep it busy when all else is done."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class FilesAndLongTests(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if nodeid.startswith(LONG) else super()._split_scope(nodeid)

    return FilesAndLongTests(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="DIR", help="where the browser tests leave their pictures")


PROGRAMS = {"authoring", "benchmarks", "cli", "demos", "edges", "exercises", "grading", "room", "serving"}
"""Folders whose tests run what other folders test layer by layer; pages of the docs do so, too."""


@pytest.fixture(autouse=True)
def shapes_unchecked(request: pytest.FixtureRequest):
    """Shapes are checked where layers are tested; it would double the time of whole programs, and of verdicts."""
    is_program = bool(PROGRAMS & set(request.path.parts)) or request.path.stem.endswith("_page")
    jaxtyping.config.update("jaxtyping_disable", is_program)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def shapes_checked(shapes_unchecked: None):
    """For a test in such a folder that is about a layer after all."""
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session", autouse=True)
def learners_folder(tmp_path_factory: pytest.TempPathFactory):
    """No test reads or writes the progress or the lessons of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("GEMINI_WORKSHOP_HOME", "GEMINI_WORKSHOP_LESSONS"):
            patch.setenv(variable, str(tmp_path_factory.mktemp("home")))
        yield
