"""Two processes that wait for work, so that the tests pay for their start only once."""

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from gemini_workshop.training.parallel.processes import Processes

SECONDS = 240


class Pair:
    """Call a function in two processes that are joined by gloo."""

    def __init__(self) -> None:
        self.pools = [ProcessPoolExecutor(1, get_context("spawn"), initializer=_alone_on_a_core) for _ in range(2)]

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What ``function(processes, *arguments)`` returns in each."""
        with tempfile.TemporaryDirectory() as folder:
            meeting = Path(folder) / "meeting"
            futures = [pool.submit(_joined, rank, meeting, function, arguments) for rank, pool in enumerate(self.pools)]
            return [future.result(timeout=SECONDS) for future in futures]

    def close(self) -> None:
        for pool in self.pools:
            pool.shutdown()


def _alone_on_a_core() -> None:
    torch.set_num_threads(1)


def _joined(rank: int, meeting: Path, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    where = meeting.as_uri() if os.name == "nt" else f"file://{meeting}"
    dist.init_process_group("gloo", init_method=where, rank=rank, world_size=2, timeout=timedelta(seconds=SECONDS))
    try:
        return function(Processes(rank=rank, count=2), *arguments)
    finally:
        dist.destroy_process_group()
