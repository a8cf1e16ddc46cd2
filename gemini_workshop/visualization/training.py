"""Figures of a training run: its loss curve, and the test that finds a learning rate."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gemini_workshop.training.rehearsal.finders import EXPLODED_NATS, RateTest
from gemini_workshop.visualization.theme import BLACK, RED, SKY, ink

TRAINING, VALIDATION, FLOOR = SKY, RED, BLACK


def loss_curve(entries: list[dict[str, Any]], floors: Mapping[str, float]) -> Figure:
    """Training and validation loss over the steps, with a line for what each simple model would reach.

    The steps are on a logarithmic axis, because a run learns most of what it learns in its first tenth.

    Args:
        entries: those of a run's history; the validation loss was measured at least once.
        floors: losses of simple models, by name.
    """
    figure, axes = _figure("optimizer step (log scale)", "loss (nats per token)")
    training = [(entry["step"], entry["loss_nats"]) for entry in entries]
    validation = [(entry["step"], entry["validation_nats"]) for entry in entries if "validation_nats" in entry]
    last_step, last_nats = validation[-1]
    axes.plot(*zip(*training, strict=True), color=TRAINING, linewidth=0.8)
    axes.plot(*zip(*validation, strict=True), color=VALIDATION, marker="o", markersize=3)
    label = partial(axes.annotate, textcoords="offset points")
    steepest = training[int(len(training) ** 0.7) - 1]  # about there, on a logarithmic axis; far from the floors
    label("training", steepest, xytext=(8, 8), color=ink(TRAINING))
    label(f"validation {last_nats:.2f}", (last_step, last_nats), xytext=(8, -4), color=ink(VALIDATION))
    for name, nats in floors.items():
        axes.axhline(nats, color=FLOOR, linestyle=":", linewidth=1)
        place = (0.01, nats)
        label(f"{name} {nats:.2f}", place, xycoords=("axes fraction", "data"), xytext=(0, 3), color=FLOOR)
    axes.set_xlim(right=4 * last_step)  # room for the label
    axes.set_ylim(bottom=0)
    axes.set_title(finding(last_nats, floors), loc="left")
    return figure


def finding(validation_nats: float, floors: Mapping[str, float]) -> str:
    """What a loss curve shows, in one line: the lowest floor that the model has passed.

    Example:
        >>> finding(2.0, {"unigram": 5.5, "bigram": 3.25})
        'The model is 1.25 nats per token below the bigram floor'
    """
    passed = {name: nats for name, nats in floors.items() if validation_nats < nats}
    if not passed:
        return f"The validation loss is {validation_nats:.2f} nats per token"
    name = min(passed, key=lambda name: passed[name])
    return f"The model is {passed[name] - validation_nats:.2f} nats per token below the {name} floor"


def rate_curve(test: RateTest) -> Figure:
    """The loss over the learning rate, with the suggested rate."""
    figure, axes = _figure("learning rate (log scale), raised at every step", "training loss (nats per token)")
    label = partial(axes.annotate, textcoords="offset points")
    axes.plot(test.rates, test.losses, color=TRAINING, linewidth=0.8)
    axes.plot(test.rates, test.smoothed, color=VALIDATION)
    label("each batch", (test.rates[0], test.losses[0]), xytext=(0, -14), color=ink(TRAINING))
    middle = len(test.rates) // 4
    label("smoothed", (test.rates[middle], test.smoothed[middle]), xytext=(0, 8), color=ink(VALIDATION))
    height = test.smoothed[test.rates.index(test.suggestion)]
    axes.axvline(test.suggestion, color=FLOOR, linestyle=":", linewidth=1)
    axes.plot(test.suggestion, height, color=FLOOR, marker="o")
    label(f"falls fastest\n{test.suggestion:.1e}", (test.suggestion, height), xytext=(8, 8), color=FLOOR)
    lowest = min(test.smoothed)
    axes.set_ylim(lowest - 0.3, max(test.losses[0], lowest + EXPLODED_NATS) + 0.5)
    end = f", and explodes at {test.exploded:.0e}" if test.exploded else ""
    axes.set_title(f"The loss falls fastest at a learning rate of {test.suggestion:.1e}{end}", loc="left")
    return figure


def _figure(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, xscale="log")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
