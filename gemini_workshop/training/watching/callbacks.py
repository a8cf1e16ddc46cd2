"""What is shown and kept of a run: a progress bar, a history, a figure, samples.

The loop calls each hook with facts and expects nothing back; a callback that is left out changes no weight.
"""

# ruff: noqa: ARG002  (a hook takes what every hook of its name takes)

import json
import math
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from gemini_workshop.files import append_whole, write_atomically
from gemini_workshop.training.step import StepMetrics


class Callback:
    """The hooks of :func:`~gemini_workshop.training.loop.fit`; each does nothing until it is overridden.

    Attributes:
        needs_all_processes: whether it computes with the model, of which each process may hold a part; if not, only
            the first of several processes calls it.
    """

    needs_all_processes = False

    def started(self, first_step: int, steps: int) -> None:
        """Before the first step; ``first_step`` steps were done in an earlier part of the run."""

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """After each optimizer step, and after the measurement that follows it, if one does."""

    def ended(self, step: int) -> None:
        """After the last step, however the run ended."""


class ProgressBar(Callback):
    """One line on the terminal: steps, a smoothed training loss, validation loss, tokens per second."""

    def __init__(self, tokens_per_step: int) -> None:
        self.tokens_per_step = tokens_per_step
        self.shown: dict[str, str] = {}

    def started(self, first_step: int, steps: int) -> None:
        """Open the bar where the run begins or resumes."""
        self.bar = tqdm(total=steps, initial=first_step, unit="step", dynamic_ncols=True)
        self.first_step, self.began, self.loss = first_step, time.monotonic(), math.nan

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Advance by a step."""
        is_first = math.isnan(self.loss)
        self.loss = metrics.loss_nats if is_first else 0.95 * self.loss + 0.05 * metrics.loss_nats
        speed = (step - self.first_step) * self.tokens_per_step / (time.monotonic() - self.began)
        self.shown |= {"loss": f"{self.loss:.3f}", "tokens/s": f"{speed:,.0f}"}
        if metrics.validation_nats is not None:
            self.shown["validation"] = f"{metrics.validation_nats:.3f}"
        self.bar.set_postfix(self.shown, refresh=False)
        self.bar.update()

    def write(self, text: str) -> None:
        """Print a text above the bar."""
        self.bar.write(text)

    def ended(self, step: int) -> None:
        """Close the bar."""
        self.bar.close()


class History(Callback):
    """One JSON object per line for every step; what a resumed run repeats is dropped first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def started(self, first_step: int, steps: int) -> None:
        """Keep what came before the step where the run resumes, and forget a line that a kill cut short."""
        kept = [entry for entry in read_history(self.path) if entry["step"] <= first_step]
        write_atomically(self.path, "".join(json.dumps(entry) + "\n" for entry in kept).encode())

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Append the step."""
        entry = {"step": step, **asdict(metrics)}
        line = json.dumps({key: value for key, value in entry.items() if value is not None}) + "\n"
        append_whole(self.path, line.encode())


def read_history(path: Path) -> list[dict[str, Any]]:
    """The entries that :class:`History` wrote; a line that is none, as a kill may leave one, is left out."""
    entries = []
    for line in path.read_text("utf-8", "replace").split("\n") if path.is_file() else []:
        with suppress(ValueError, RecursionError):
            entry = json.loads(line)
            if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                entries.append(entry)
    return entries


class LossCurve(Callback):
    """A figure of the run so far, drawn again from its history at every measurement.

    Args:
        draw: draws the entries of a history.
    """

    def __init__(self, history: Path, draw: Callable[[list[dict[str, Any]]], object]) -> None:
        self.history, self.draw = history, draw

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Draw, if there is something new."""
        if metrics.validation_nats is not None:
            self.draw(read_history(self.history))


class Samples(Callback):
    """Text that the model writes at every measurement, so that one can read what the loss means.

    Of several processes, each computes the text, because each may hold a part of the model.

    Args:
        write: writes a text.
        path: where texts are kept.
        show: prints one.
        is_first: whether this process is the one that keeps and shows them.
    """

    needs_all_processes = True

    def __init__(
        self, write: Callable[[], str], path: Path, show: Callable[[str], object], *, is_first: bool = True
    ) -> None:
        self.write, self.path, self.show, self.is_first = write, path, show, is_first

    def started(self, first_step: int, steps: int) -> None:
        """Forget the samples of steps that a resumed run takes again."""
        if self.is_first and self.path.is_file():
            samples = re.split(r"^(?=step [0-9]{1,18}, validation )", self.path.read_text("utf-8"), flags=re.MULTILINE)
            steps_of = {sample: re.match(r"step ([0-9]{1,18}), ", sample) for sample in samples}
            kept = [sample for sample, found in steps_of.items() if found is None or int(found[1]) <= first_step]
            write_atomically(self.path, "".join(kept).encode())

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Write, keep and show one sample at each measurement."""
        if metrics.validation_nats is None:
            return
        sample = f"step {step}, validation {metrics.validation_nats:.3f} nats per token:\n{self.write()}\n"
        if self.is_first:
            append_whole(self.path, f"{sample}\n".encode())
            self.show(sample)
