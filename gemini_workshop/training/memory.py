"""How much memory something takes: what PyTorch's allocator had handed out at the worst moment."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from torch.profiler import ProfilerActivity, profile


def peak_bytes(run: Callable[[], object]) -> int:
    """The most bytes of CPU tensors that ``run`` holds at once, beyond those that exist before it.

    Allocations and releases are counted, not the size of the process: the figure is exact and the same everywhere.
    """
    profiler = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
    with _without_announcements():
        profiler.start()
    try:
        result = run()
    finally:
        with _without_announcements():
            profiler.stop()
    del result
    held = peak = 0
    assert profiler.profiler is not None
    assert profiler.profiler.kineto_results is not None
    for event in sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()  # type: ignore[attr-defined]
            peak = max(peak, held)
    return peak


@contextlib.contextmanager
def _without_announcements() -> Iterator[None]:
    """Some builds of PyTorch announce on stderr, below Python, that the profiler starts and stops."""
    sys.stderr.flush()
    before = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def available_bytes() -> int:
    """Memory that this process may still take, by what the machine has free and what its container allows."""
    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    try:
        allowed = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no container, or no limit
        return free
    return min(free, max(allowed, 0))
