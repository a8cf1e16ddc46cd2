"""Figures of lesson 11: schedules, the sizes of gradients and steps, a sweep of rates, and the loss-curve clinic."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from gemini_workshop.training.rehearsal.clinic import MEASURE_EVERY, ClinicRun
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import BLUE, GREEN, GREY, ORANGE, RED, ink, label_line

TRAINING, VALIDATION, HEALTHY = BLUE, RED, GREY


def schedules(rates: Mapping[str, Sequence[float]], title: str) -> Figure:
    """The learning rate by step; one line for each schedule."""
    figure, axes = plt.subplots(figsize=(7.5, 3.2))
    for (name, curve), color in zip(rates.items(), (BLUE, ORANGE, GREEN), strict=False):
        axes.plot(range(len(curve)), curve, color=color)
        label_line(axes, float(len(curve) - 1), curve[-1], name, color)
    longest = max(map(len, rates.values()))
    axes.set(xlabel="step", ylabel="learning rate", title=title, xlim=(0, 1.3 * longest))
    axes.set_ylim(bottom=-0.05 * max(map(max, rates.values())))  # room for the name of a line that ends at zero
    return describe(figure, f"A line for each of {', '.join(rates)}, from step 0 to the last.")


def sizes_by_tensor(
    gradients: Mapping[str, float], steps: Mapping[str, float], title: str, named: tuple[str, str]
) -> Figure:
    """Two sizes for each tensor of a model, on a logarithmic axis.

    Args:
        gradients: root mean square of the gradient, by the tensor's name.
        steps: that of the step which an optimizer takes.
        named: what the two sizes are called.
    """
    figure, axes = plt.subplots(figsize=(7.5, 0.26 * len(gradients) + 1.7))
    rows = range(len(gradients))
    for sizes, color, name, side in ((gradients, ORANGE, named[0], "right"), (steps, BLUE, named[1], "left")):
        values = [sizes[tensor] for tensor in gradients]
        axes.semilogx(values, rows, "o", color=color)
        axes.annotate(name, (values[0], -0.8), color=ink(color), ha=side, va="bottom", annotation_clip=False)
    axes.set_yticks(rows, list(gradients), size=9)
    axes.set_ylim(len(gradients) - 0.5, -1.6)
    axes.set(xlabel="root mean square (log scale)", title=title)
    axes.grid(axis="y", color="#eeeeee")
    return describe(
        figure, f"A row for each of {', '.join(gradients)}, with a point for each of {' and '.join(named)}."
    )


def learning_curve(history: Sequence[Mapping[str, Any]], floors: Mapping[str, float], title: str) -> Figure:
    """Training and validation loss by step, on a logarithmic axis, over lines for what simple models pay.

    Args:
        history: ``step`` and ``loss_nats`` of each step; ``validation_nats`` where that was measured.
        floors: losses of simple models, by name.
    """
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    measured = [(float(entry["step"]), entry["validation_nats"]) for entry in history if "validation_nats" in entry]
    axes.plot([entry["step"] for entry in history], [entry["loss_nats"] for entry in history], color=TRAINING, lw=0.8)
    axes.plot(*zip(*measured, strict=True), color=VALIDATION, marker="o", markersize=4)
    middle = history[math.isqrt(len(history))]
    axes.annotate("training", (middle["step"], middle["loss_nats"]), xytext=(10, 8), textcoords="offset points")
    axes.texts[-1].set_color(ink(TRAINING))
    label_line(axes, *measured[-1], "validation", VALIDATION)
    for name, nats in floors.items():
        axes.axhline(nats, color=GREY, linestyle=":", linewidth=1)
        axes.annotate(name, (0.01, nats), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points")
    last = history[-1]["step"]
    axes.set(xscale="log", xlabel="optimizer step (log scale)", ylabel="loss (nats per token)", title=title)
    axes.set(xlim=(0.8, 4 * last), ylim=(0, 1.1 * max(floors.values())))
    return describe(figure, f"Two falling lines that lie close together, over dotted lines for {', '.join(floors)}.")


def rate_sweep(losses: Mapping[float, Sequence[float]], title: str, level: tuple[float, str]) -> Figure:
    """The loss at the end by learning rate: a point per seed, a line through the medians.

    Args:
        level: a loss to mark, and its name.
    """
    figure, axes = plt.subplots(figsize=(7.5, 3.8))
    rates = sorted(losses)
    for seeds in zip(*(losses[rate] for rate in rates), strict=True):
        axes.plot(rates, seeds, "o", color=BLUE, alpha=0.5)
    axes.plot(rates, [median(losses[rate]) for rate in rates], color=BLUE)
    axes.axhline(level[0], color=GREY, linestyle="--", linewidth=1)
    axes.annotate(level[1], (rates[0], level[0]), xytext=(0, 4), textcoords="offset points", color=ink(GREY), size=9)
    axes.set(xscale="log", xlabel="highest learning rate (log scale)", title=title)
    axes.set_ylabel("validation loss (nats per token)")
    return describe(figure, f"A line with points over the learning rate; a broken line: {level[1]}.")


def clinic(runs: Mapping[str, ClinicRun], healthy: ClinicRun, vocab_size: int, title: str) -> Figure:
    """Training and validation loss of each run in a panel of its own, over those of a healthy run; ln V is marked."""
    figure, panels = plt.subplots(
        2, math.ceil(len(runs) / 2), figsize=(10, 5.2), sharex=True, sharey=True, squeeze=False
    )
    steps = range(len(healthy.training))
    measured = range(0, MEASURE_EVERY * len(healthy.validation), MEASURE_EVERY)
    for axes, (letter, run) in zip(panels.flat, runs.items(), strict=False):
        axes.plot(measured, healthy.validation, color=HEALTHY, linewidth=1.2)
        axes.plot(steps, run.training, color=TRAINING, linewidth=1.2)
        axes.plot(measured, run.validation, color=VALIDATION, linewidth=1.8)
        axes.axhline(math.log(vocab_size), color=GREY, linestyle=":", linewidth=1)
        axes.set_title(letter, fontsize=12)
    panels[0, 0].set(ylim=(0, 11), yticks=range(0, 11, 2))
    panels[0, 0].annotate("ln V", (len(steps), math.log(vocab_size)), ha="right", va="bottom", color=ink(GREY), size=9)
    notes = (("training", 0.93, TRAINING), ("validation", 0.84, VALIDATION), ("healthy run, validation", 0.75, HEALTHY))
    for text, height, color in notes:
        panels[0, 0].annotate(text, (0.3, height), xycoords="axes fraction", color=ink(color), size=9, va="top")
    figure.supxlabel("step", size=11)
    figure.supylabel("loss (nats per token)", size=11)
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=13)
    return describe(
        figure,
        f"A panel for each of the runs {', '.join(runs)}, with a line for the training loss, one for the validation "
        f"loss "
        "and, in grey, the validation loss of a healthy run; a dotted line marks ln V.",
    )
