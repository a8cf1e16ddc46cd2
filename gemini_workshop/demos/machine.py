"""What the demo takes of its machine, read when somebody looks, and kept for some minutes as JSON."""

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gemini_workshop.training.watching.resources import Reading, ResourceMeter

KEPT = 600
LEAST_SECONDS = 1.0


class Machine:
    """Readings of the last minutes, at most one each second however many look."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.meter: ResourceMeter | None = None  # made at the first look, since it imports PyTorch
        self.readings: deque[Reading] = deque(maxlen=KEPT)
        self.tokens_per_second: float | None = None
        self._lock = threading.Lock()

    def look(self) -> "list[Reading]":
        """All readings that are kept, with a new one at the end."""
        from gemini_workshop.training.watching.resources import ResourceMeter

        with self._lock:
            self.meter = self.meter or ResourceMeter(self.device)
            if not self.readings or time.time() - self.readings[-1].time >= LEAST_SECONDS:
                self.readings.append(self.meter.read(self.tokens_per_second))
                self.tokens_per_second = None  # until somebody writes again
            return list(self.readings)

    def as_json_lines(self) -> str:
        """The readings, a line of JSON each."""
        with self._lock:
            return "".join(f"{reading.to_json()}\n" for reading in self.readings)
