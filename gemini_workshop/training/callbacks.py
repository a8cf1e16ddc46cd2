"""What happens beside the training: a progress bar, a history, a picture, samples, checkpoints.

The loop calls each hook with facts and asks nothing back; a callback that is left out changes no weight.
"""

# ruff: noqa: ARG002  (a hook takes what every hook of its name takes)

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from gemini_workshop.data.files import write_atomically

# Colour-blind-safe (Okabe and Ito).
TRAINING_COLOR, VALIDATION_COLOR, FLOOR_COLOR = "#56b4e9", "#d55e00", "#555555"


@dataclass(frozen=True, kw_only=True, slots=True)
class StepMetrics:
    """What one optimizer step measured; the gradient's norm is the one before clipping.

    ``validation_nats`` is there at the steps after which the validation loss was measured; what concerns experts, if
    there are any: the routers' part of the loss, and the load of the busiest expert as a multiple of the mean.
    """

    loss_nats: float
    gradient_norm: float
    learning_rate: float
    validation_nats: float | None = None
    auxiliary: float | None = None
    busiest_expert: float | None = None


class Callback:
    """The hooks of :func:`~gemini_workshop.training.trainer.fit`; each does nothing until it is overridden.

    Attributes:
        needs_all_processes: whether it computes with the model, of which each process may hold a share; if not, only
            the first of several processes calls it.
    """

    needs_all_processes = False

    def started(self, first_step: int, steps: int) -> None:
        """Before the first step; ``first_step`` steps were done in an earlier part of the run."""

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """After each optimizer step, and after the measurement that follows it, if one does."""

    def ended(self, step: int) -> None:
        """After the last step of a run that ended in order, early or not."""


class ProgressBar(Callback):
    """One line on the terminal: steps, a smoothed training loss, validation loss, tokens per second."""

    def __init__(self, tokens_per_step: int) -> None:
        self.tokens_per_step = tokens_per_step
        self.shown: dict[str, str] = {}

    def started(self, first_step: int, steps: int) -> None:
        """Open the bar where the run goes on."""
        self.bar = tqdm(total=steps, initial=first_step, unit="step", dynamic_ncols=True)
        self.first_step, self.began, self.loss = first_step, time.monotonic(), math.nan

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Move on."""
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
    """One JSON object a line for every step; what a resumed run repeats is dropped first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def started(self, first_step: int, steps: int) -> None:
        """Keep what came before the step where the run goes on, and forget a line that a kill cut short."""
        kept = [entry for entry in read_history(self.path) if entry["step"] <= first_step]
        write_atomically(self.path, "".join(json.dumps(entry) + "\n" for entry in kept).encode())

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Note the step."""
        entry = {"step": step, **asdict(metrics)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({key: value for key, value in entry.items() if value is not None}) + "\n")


def read_history(path: Path) -> list[dict[str, Any]]:
    """The entries that :class:`History` wrote; a last line that a kill cut short is left out."""
    entries = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return entries


class LossCurve(Callback):
    """A PNG of the run so far, drawn anew from its history at every measurement."""

    def __init__(self, history: Path, picture: Path, floors: Mapping[str, float]) -> None:
        self.history, self.picture, self.floors = history, picture, floors

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Draw, if there is something new."""
        if metrics.validation_nats is not None:
            draw_loss_curve(read_history(self.history), self.picture, self.floors)


class Samples(Callback):
    """Text that the model writes at every measurement, so that one can read what the loss means."""

    needs_all_processes = True

    def __init__(self, write: Callable[[], str], path: Path, show: Callable[[str], object]) -> None:
        self.write, self.path, self.show = write, path, show

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Write, keep and show one sample at each measurement."""
        if metrics.validation_nats is None:
            return
        sample = f"step {step}, validation {metrics.validation_nats:.3f} nats a token:\n{self.write()}\n"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(sample + "\n")
        self.show(sample)


class Quietly(Callback):
    """What another process does while the first writes a sample: compute with it, for each may hold a part."""

    needs_all_processes = True

    def __init__(self, write: Callable[[], str]) -> None:
        self.write = write

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Compute the same sample, and keep nothing of it."""
        if metrics.validation_nats is not None:
            self.write()


class SaveCheckpoints(Callback):
    """Call ``save(step, metrics)`` every few steps, after the best measurement so far, and at the end."""

    needs_all_processes = True

    def __init__(self, save: Callable[[int, dict[str, float]], object], every_steps: int) -> None:
        self.save, self.every_steps = save, every_steps
        self.metrics: dict[str, float] = {}
        self.best_nats = math.inf
        self.saved_step = -1

    def started(self, first_step: int, steps: int) -> None:
        """The step where the run goes on is saved already."""
        self.saved_step = first_step

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Save if it is time."""
        self.metrics["loss_nats"] = metrics.loss_nats
        is_best = metrics.validation_nats is not None and metrics.validation_nats < self.best_nats
        if metrics.validation_nats is not None:
            self.metrics |= {"validation_nats": metrics.validation_nats, "validation_step": step}
            self.best_nats = min(self.best_nats, metrics.validation_nats)
        if step % self.every_steps == 0 or is_best:
            self._save(step)

    def ended(self, step: int) -> None:
        """Save the last step, unless that was done."""
        if step != self.saved_step:
            self._save(step)

    def _save(self, step: int) -> None:
        self.save(step, dict(self.metrics))
        self.saved_step = step


def draw_loss_curve(entries: list[dict[str, Any]], picture: Path, floors: Mapping[str, float]) -> None:
    """Training and validation loss over the steps, with a line for what each simple model would reach.

    The steps are on a logarithmic axis, because a run learns most of what it learns in its first tenth.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    training = [(entry["step"], entry["loss_nats"]) for entry in entries]
    validation = [(entry["step"], entry["validation_nats"]) for entry in entries if "validation_nats" in entry]
    last_step, last_nats = validation[-1]
    axes.plot(*zip(*training, strict=True), color=TRAINING_COLOR, linewidth=0.8)
    axes.plot(*zip(*validation, strict=True), color=VALIDATION_COLOR, marker="o", markersize=3)
    label = partial(axes.annotate, textcoords="offset points")
    middle = training[math.isqrt(len(training)) - 1]  # halfway along the logarithmic axis
    label("training", middle, xytext=(8, 8), color=TRAINING_COLOR)
    label(f"validation {last_nats:.2f}", (last_step, last_nats), xytext=(8, -4), color=VALIDATION_COLOR)
    for name, nats in floors.items():
        axes.axhline(nats, color=FLOOR_COLOR, linestyle=":", linewidth=1)
        place = (0.01, nats)
        label(f"{name} {nats:.2f}", place, xycoords=("axes fraction", "data"), xytext=(0, 3), color=FLOOR_COLOR)
    axes.set_xscale("log")
    axes.set_xlim(right=4 * last_step)  # room for the label
    axes.set_ylim(bottom=0)
    axes.set_xlabel("optimizer step (log scale)")
    axes.set_ylabel("loss (nats per token)")
    axes.set_title(finding(last_nats, floors), loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=120)


def finding(validation_nats: float, floors: Mapping[str, float]) -> str:
    """What a loss curve says in one line: the lowest floor that the model has passed.

    Example:
        >>> finding(2.0, {"unigram": 5.5, "bigram": 3.25})
        'The model is 1.25 nats a token below the bigram floor'
    """
    passed = {name: nats for name, nats in floors.items() if validation_nats < nats}
    if not passed:
        return f"The validation loss is {validation_nats:.2f} nats a token"
    name = min(passed, key=lambda name: passed[name])
    return f"The model is {passed[name] - validation_nats:.2f} nats a token below the {name} floor"
