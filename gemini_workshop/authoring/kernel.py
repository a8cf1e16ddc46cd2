"""Notebooks are built and tested in kernels that differ from machine to machine as little as possible."""

import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from gemini_workshop.authoring.source import Header
from gemini_workshop.errors import WorkshopError

CELL_SECONDS = 180
IPYTHON_CONFIG = """\
c = get_config()
c.HistoryManager.enabled = False
c.InteractiveShellApp.extensions = ["gemini_workshop.authoring.offline"]
"""
SLOWER = 2  # than the machine of which a header speaks; other work on the same cores slows a processor, too


class BuildError(WorkshopError):
    """A notebook that does not run, or prints what must not be stored."""


def kernel_environment(folder: Path) -> dict[str, str]:
    """Environment variables for a kernel whose profile and learner's folder lie in ``folder``.

    One thread, a fixed hash seed, no history, no network, nobody's own IPython settings or progress.
    """
    profile = folder / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_config.py").write_text(IPYTHON_CONFIG, "utf-8")
    return {
        "GEMINI_WORKSHOP_HOME": str(folder / "home"),
        "IPYTHONDIR": str(folder / "ipython"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
    }


def over_budget(process: int, header: Header) -> str | None:
    """What a kernel has taken too much of: seconds of the processor, whatever else the machine does, or memory."""
    seconds = sum(psutil.Process(process).cpu_times()[:4])
    if seconds > SLOWER * header.budget_seconds:
        return f"{seconds:.0f} seconds, budget_seconds is {header.budget_seconds}"
    if sys.platform == "linux":  # elsewhere the most that was used cannot be told
        status = Path(f"/proc/{process}/status").read_text("utf-8")
        [kilobytes] = re.findall(r"VmHWM:\s*(\d+) kB", status)
        if (megabytes := int(kilobytes) // 1024) > header.budget_megabytes:
            return f"{megabytes} MB, budget_megabytes is {header.budget_megabytes}"
    return None


def run(
    notebook: NotebookNode,
    folder: Path,
    *,
    skip: str = "gpu",
    before_cell: Callable[..., object] | None = None,
    on_cell: Callable[[], object] = int,
) -> None:
    """Run a notebook's cells in place, in ``folder``; cells with the tag ``skip`` are left out.

    Args:
        before_cell: called with each cell (and ``cell_index``) before it may be run.
        on_cell: called after each cell that was run.

    Raises:
        BuildError: a cell raised, took longer than CELL_SECONDS or killed the kernel.
    """
    with (
        tempfile.TemporaryDirectory(prefix="gemini-workshop-", ignore_cleanup_errors=True) as temporary,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Proactor event loop")  # pyzmq on Windows
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=CELL_SECONDS,
            record_timing=False,
            store_widget_state=False,
            skip_cells_with_tag=skip,
            resources={"metadata": {"path": str(folder)}},
            on_cell_start=before_cell,
            on_cell_executed=lambda **_: on_cell(),
        )
        try:
            client.execute(env=os.environ | kernel_environment(Path(temporary)), stderr=subprocess.DEVNULL)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise BuildError(_in_words(notebook, error)) from None


def _in_words(notebook: NotebookNode, error: Exception) -> str:
    """Which cell failed, its text and the end of the traceback; nbclient's own message hides them in colours."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback)).splitlines()
                return "\n".join([f"Cell {cell.id} raised an error:", cell.source, "", *trace[-12:]])
    return f"{type(error).__name__}: {error}"
