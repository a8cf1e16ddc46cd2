"""What a process takes of its machine, read now and again: memory, processor, GPU, and tokens per second as JSON.

    meter = ResourceMeter(device)
    meter.read(tokens_per_second=350.0)

A percentage of the processor is that of the time since the last reading. What cannot be read here is None: there is no
GPU, or its driver's library for Python (nvidia-ml-py) is not installed.
"""

# ruff: noqa: ARG002  (a hook takes what every hook of its name takes)

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import torch

from gemini_workshop.files import append_whole
from gemini_workshop.training.watching.callbacks import History, StepMetrics

SECONDS_BETWEEN = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One look at the machine.

    Args:
        time: seconds since 1970.
        memory_bytes: what this process holds in main memory.
        memory_free_bytes: what other processes could still have.
        cpu_percent: of one core, by this process: 200 is two busy cores.
        machine_cpu_percent: of all cores, by all processes.
        gpu_memory_bytes: what the tensors of this process hold on the GPU.
        gpu_percent: of the time in which the GPU was busy.
    """

    time: float
    memory_bytes: int
    memory_free_bytes: int
    cpu_percent: float
    machine_cpu_percent: float
    gpu_memory_bytes: int | None = None
    gpu_percent: float | None = None
    tokens_per_second: float | None = None

    def to_json(self) -> str:
        """One line of JSON, without what is unknown."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})


class ResourceMeter:
    """Reads what this process takes, on Linux, macOS and Windows."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device, self.process = torch.device(device), psutil.Process()
        self.process.cpu_percent()  # a first reading, which the next ones are compared with
        psutil.cpu_percent()

    def read(self, tokens_per_second: float | None = None) -> Reading:
        """What is taken now."""
        gpu_memory, gpu_percent = read_gpu(self.device)
        return Reading(
            time=time.time(),
            memory_bytes=self.process.memory_info().rss,
            memory_free_bytes=psutil.virtual_memory().available,
            cpu_percent=self.process.cpu_percent(),
            machine_cpu_percent=psutil.cpu_percent(),
            gpu_memory_bytes=gpu_memory,
            gpu_percent=gpu_percent,
            tokens_per_second=tokens_per_second,
        )


def read_gpu(device: torch.device) -> tuple[int | None, float | None]:
    """The bytes of this process's tensors on a GPU, and how busy it is in percent."""
    if device.type == "mps":
        return torch.mps.current_allocated_memory(), None
    if device.type != "cuda":
        return None, None
    try:
        busy: float | None = float(torch.cuda.utilization(device))
    except (ImportError, RuntimeError):  # nvidia-ml-py or its driver is not there
        busy = None
    return torch.cuda.memory_allocated(device), busy


class ResourceLog(History):
    """A reading every few seconds of a run, a line of JSON each; what a resumed run repeats is dropped first.

    Args:
        hardware: its ``tokens_per_second`` goes into the reading, such as :meth:`~.monitoring.HardwareMonitor.latest`.
    """

    def __init__(
        self,
        path: Path,
        device: torch.device,
        hardware: Callable[[], Mapping[str, float]] = dict,
        every_seconds: float = SECONDS_BETWEEN,
    ) -> None:
        super().__init__(path)
        self.meter, self.hardware, self.every_seconds = ResourceMeter(device), hardware, every_seconds

    def started(self, first_step: int, steps: int) -> None:
        """Keep what came before; the first step is read."""
        super().started(first_step, steps)
        self.read_at = -self.every_seconds

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Append a reading, if it is time."""
        now = time.monotonic()
        if now - self.read_at < self.every_seconds:
            return
        self.read_at = now
        reading = self.meter.read(self.hardware().get("tokens_per_second"))
        append_whole(self.path, f'{{"step": {step}, {reading.to_json()[1:]}\n'.encode())
