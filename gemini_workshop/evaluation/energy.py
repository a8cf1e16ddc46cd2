"""The cost of computing: seconds, joules, and how the joules are known.

    measured    the processor's own counters (RAPL), where they can be read: Linux, mostly as root. They count the whole
                processor, other programs included.
    estimated   the power that its maker states (TDP), shared out by processor time: TDP x CPU seconds / cores
    unknown     neither is there

Source: the Linux kernel's documentation of powercap.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

COUNTERS = Path("/sys/class/powercap")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What something cost.

    Args:
        joules: None where they are unknown.
        source: how they are known.
    """

    seconds: float
    cpu_seconds: float
    joules: float | None
    source: str


class EnergyMeter:
    """Measures what happens in a ``with``; ``cost`` is there afterwards.

    Args:
        tdp_watts: the processor's stated power, to estimate from where nothing can be measured.
    """

    cost: Cost

    def __init__(self, tdp_watts: float | None = None, counters: Path = COUNTERS) -> None:
        self.tdp_watts = tdp_watts
        self.counters = counters

    def __enter__(self) -> "EnergyMeter":
        self._microjoules = read_counters(self.counters)
        self._began, self._cpu_began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        seconds, cpu_seconds = time.perf_counter() - self._began, time.process_time() - self._cpu_began
        joules, source = self._energy(cpu_seconds)
        self.cost = Cost(seconds=seconds, cpu_seconds=cpu_seconds, joules=joules, source=source)

    def _energy(self, cpu_seconds: float) -> tuple[float | None, str]:
        now = read_counters(self.counters)
        if now and now.keys() == self._microjoules.keys():
            spent = sum((now[zone][0] - before) % wraps_at for zone, (before, wraps_at) in self._microjoules.items())
            return spent / 1e6, "measured by RAPL: the whole processor"
        if self.tdp_watts is None:
            return None, "unknown: no counters can be read, and no TDP was stated"
        cores = os.cpu_count() or 1
        joules = self.tdp_watts * cpu_seconds / cores
        return joules, f"estimated from a stated TDP: {self.tdp_watts:g} W x CPU seconds / {cores} cores"


def read_counters(folder: Path = COUNTERS) -> dict[str, tuple[int, int]]:
    """For each processor package: its counter in microjoules, and where it wraps around."""
    found = {}
    for zone in sorted(folder.glob("intel-rapl:*")):
        if zone.name.count(":") > 1:
            continue  # a part of a package, which counts it already
        try:
            values = [int((zone / name).read_text()) for name in ("energy_uj", "max_energy_range_uj")]
        except (OSError, ValueError):
            continue
        found[zone.name] = (values[0], values[1])
    return found
