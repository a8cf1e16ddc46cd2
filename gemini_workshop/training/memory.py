"""How much memory something takes, and how a process keeps memory that it will need again."""

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from torch.profiler import ProfilerActivity, profile

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # numbers of mallopt, from glibc's malloc.h


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, from now on.

    Training steps need the same memory again and again. Linux clears every page that it hands out, and glibc returns
    large blocks as soon as they are free: tens of thousands of pages per step. On other systems this does nothing.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if mallopt is not None:
            mallopt(M_MMAP_MAX, 0)
            mallopt(M_TRIM_THRESHOLD, -1)


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
