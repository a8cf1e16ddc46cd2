"""How fast a run is, how well it uses the machine, and lines of text where there is no terminal.

    MFU = FLOPs that the model needs / (seconds * FLOPs per second that this machine reaches in a large matrix product)

Source: model FLOPs utilisation: Chowdhery et al. 2022, arXiv:2204.02311, appendix B. Differs: the peak is measured
here and now, not read from a data sheet.
"""

# ruff: noqa: ARG002  (a hook takes what every hook of its name takes)

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping

import psutil
import torch

from gemini_workshop.training.precision import DTYPES
from gemini_workshop.training.watching.callbacks import Callback, StepMetrics

RECENT_STEPS = 20


def matrix_product_flops(device: torch.device, precision: str, width: int | None = None, rounds: int = 3) -> float:
    """FLOPs per second of the fastest of a few products of square matrices.

    Args:
        width: of the matrices; by default what keeps the device busy for some milliseconds.
    """
    width = width or (8192 if device.type == "cuda" else 1024)
    generator = torch.Generator(device).manual_seed(0)  # its own: a run that is resumed draws what it would have drawn
    matrix = torch.randn(width, width, generator=generator, device=device, dtype=DTYPES.get(precision, torch.float32))
    seconds = []
    for _ in range(rounds + 1):
        _wait_for(device)
        start = time.perf_counter()
        _ = matrix @ matrix
        _wait_for(device)
        seconds.append(time.perf_counter() - start)
    return 2 * width**3 / min(seconds[1:])  # the first one pays for loading the kernel


class HardwareMonitor(Callback):
    """Tokens per second, MFU and memory, over the last few steps; other callbacks read :meth:`latest`.

    Args:
        flops_per_step: see :func:`~gemini_workshop.models.accounting.training_flops`.
        peak_flops: what the machine can do, see :func:`matrix_product_flops`.
    """

    def __init__(self, tokens_per_step: int, flops_per_step: int, peak_flops: float, device: torch.device) -> None:
        self.tokens_per_step, self.flops_per_step = tokens_per_step, flops_per_step
        self.peak_flops, self.device = peak_flops, device
        self.seconds: deque[float] = deque(maxlen=RECENT_STEPS)

    def started(self, first_step: int, steps: int) -> None:
        """Start the clock."""
        self.seconds.clear()
        self.before = time.perf_counter()

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Record how long the step took."""
        now = time.perf_counter()
        self.seconds.append(now - self.before)
        self.before = now

    def latest(self) -> dict[str, float]:
        """The figures. The median ignores steps that were followed by a measurement or a save."""
        memory = {"memory_gb": memory_bytes(self.device) / 1e9}
        if not self.seconds:
            return memory
        seconds = statistics.median(self.seconds)
        reached = self.flops_per_step / seconds
        self.peak_flops = max(self.peak_flops, reached)  # measured while the machine was busy with something else
        mfu = reached / self.peak_flops
        return {"tokens_per_second": self.tokens_per_step / seconds, "mfu": mfu, **memory}


def memory_bytes(device: torch.device) -> int:
    """The most that CUDA's allocator has held so far; on other devices what the process holds now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return psutil.Process().memory_info().rss


class ConsoleLines(Callback):
    """One line of text every half minute, and at each measurement: for logs, where a progress bar would be a mess.

    Args:
        show: prints a line.
        hardware: figures to add, such as :meth:`HardwareMonitor.latest`.
    """

    def __init__(
        self,
        show: Callable[[str], object],
        hardware: Callable[[], Mapping[str, float]] = dict,
        every_seconds: float = 30.0,
    ) -> None:
        self.show, self.hardware, self.every_seconds = show, hardware, every_seconds

    def started(self, first_step: int, steps: int) -> None:
        """The first step is shown."""
        self.first_step, self.steps, self.began = first_step, steps, time.monotonic()
        self.shown = -self.every_seconds

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Show the step, if it is time or something was measured."""
        now = time.monotonic() - self.began
        if metrics.validation_nats is None and now - self.shown < self.every_seconds:
            return
        self.shown = now
        seconds_left = now / (step - self.first_step) * (self.steps - step)
        self.show(f"step {step}/{self.steps}  {describe(metrics, self.hardware())}  {clock(seconds_left)} left")


def describe(metrics: StepMetrics, hardware: Mapping[str, float]) -> str:
    """What was measured, in words."""
    parts = [f"loss {metrics.loss_nats:.3f}"]
    if metrics.validation_nats is not None:
        parts.append(f"validation {metrics.validation_nats:.3f}")
    parts += [f"gradient {metrics.gradient_norm:.2f}", f"rate {metrics.learning_rate:.1e}"]
    if metrics.busiest_expert is not None:
        parts.append(f"busiest expert {metrics.busiest_expert:.2f} x mean")
    if "tokens_per_second" in hardware:
        parts += [f"{hardware['tokens_per_second']:,.0f} tokens/s", f"MFU {hardware['mfu']:.0%}"]
    if "memory_gb" in hardware:
        parts.append(f"{hardware['memory_gb']:.2f} GB")
    return "  ".join(parts)


def clock(seconds: float) -> str:
    """A time as people write it.

    Example:
        >>> clock(65.0), clock(3 * 3600.0 + 60)
        ('1:05', '3:01:00')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
