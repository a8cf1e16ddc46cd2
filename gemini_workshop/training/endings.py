"""Why a run ends: its steps are done, its time is up, Ctrl-C was pressed, or the validation loss stopped falling."""

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from gemini_workshop.training.parallel.processes import Processes

Ending = Literal["finished", "time", "interrupted", "no progress"]
# What one process may find on its own, the most urgent last. All find "no progress" at once, by the same measurement.
URGENCY: tuple[Ending | None, ...] = (None, "time", "interrupted", "finished")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How far a run came, and why it ended there."""

    step: int
    ending: Ending


class Patience:
    """Counts the measurements since the best one.

    Args:
        evals: how many without a better one end the run; None: any number is fine.
    """

    def __init__(self, evals: int | None) -> None:
        self.evals, self.best, self.since = evals, math.inf, 0

    def count(self, validation_nats: float) -> None:
        """Count one more measurement."""
        self.since = 0 if validation_nats < self.best else self.since + 1
        self.best = min(self.best, validation_nats)

    @property
    def newest_is_best(self) -> bool:
        """Whether the measurement counted last is better than all before it."""
        return self.since == 0

    @property
    def is_over(self) -> bool:
        """Whether the run is to end."""
        return self.evals is not None and self.since >= self.evals


def agreed(ending: Ending | None, processes: Processes, device: torch.device) -> Ending | None:
    """The most urgent ending that any of the processes has found, so that all of them end at the same step."""
    return URGENCY[processes.largest(URGENCY.index(ending), device)]


@contextmanager
def ctrl_c_as_event() -> Iterator[threading.Event]:
    """Inside, the first Ctrl-C sets the event, so that the current step can end; the second stops at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # only the main thread may handle signals
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
