"""Figures of how good a model is: losses, needles, choices, programs, and models side by side."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gemini_workshop.evaluation.abilities import Ability
from gemini_workshop.evaluation.choice import ChoiceResult
from gemini_workshop.evaluation.needle import NeedleResult
from gemini_workshop.evaluation.profiles import Profile
from gemini_workshop.evaluation.scores import Evaluation
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import BLUE, COLORS, GREEN, GREY, ORANGE, label_line

PERCENT = ("0%", "25%", "50%", "75%", "100%")


def score_bars(evaluation: Evaluation) -> Figure:
    """The losses of a model and of the simple models beside it, in bits per byte."""
    figure, axes = plt.subplots(figsize=(7.5, 0.45 * len(evaluation.scores) + 1.4))
    names = [score.name for score in evaluation.scores]
    colors = [BLUE if name.startswith("model") else GREY for name in names]
    _bars(axes, names, [score.bits_per_byte for score in evaluation.scores], colors, "{:.3f}")
    axes.set(xlabel="bits per byte (lower is better)", title=f"{evaluation.checkpoint} on {evaluation.text}")
    return figure


def needle_heat_map(result: NeedleResult, title: str = "") -> Figure:
    """How often a needle was found, by the length of the text and by its depth in it."""
    rows, columns = len(result.depths), len(result.lengths)
    figure, axes = plt.subplots(figsize=(0.75 * columns + 3.2, 0.5 * rows + 1.9))
    image = axes.imshow(np.array(result.found), vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(rows, columns):
        fraction = result.found[row][column]
        color = "black" if fraction > 0.6 else "white"
        axes.text(column, row, f"{fraction:.0%}", ha="center", va="center", color=color, size=9)
    axes.set_xticks(range(columns), [f"{length:,}" for length in result.lengths])
    axes.set_yticks(range(rows), [f"{depth:.0%}" for depth in result.depths])
    axes.set(xlabel="length of the text (tokens)", ylabel="depth of the needle")
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    bar = figure.colorbar(image, ax=axes)
    marks = {0.0: "never found", 1.0: "always found"}
    if result.chance > 0.05:  # lower, the labels would overlap
        marks[result.chance] = f"chance ({result.chance:.0%})"
    bar.set_ticks(sorted(marks), labels=[marks[height] for height in sorted(marks)])
    bar.outline.set_visible(False)
    return describe(figure, "A map: a row for each depth, a column for each length, and how often it was found.")


def recall_heat_map(name: str, result: NeedleResult, row_tokens: int) -> Figure:
    """The same of a model that was asked, with what was found in the longest texts as the title."""
    longest = result.lengths[-1]
    found = sum(row[-1] for row in result.found) / len(result.found)
    title = f"{name} recalls {found:.0%} in texts of {longest / row_tokens:g} times\nthe length that it was trained on"
    return needle_heat_map(result, title)


def choice_bars(results: Mapping[str, ChoiceResult]) -> Figure:
    """The fraction of questions answered correctly with each normalization, for each model, and the level of chance."""
    (first, *_) = results.values()
    names = list(first.accuracy)
    figure, axes = plt.subplots(figsize=(7.5, 3.6))
    width = 0.8 / len(results)
    for i, ((model, result), color) in enumerate(zip(results.items(), COLORS, strict=False)):
        places = [x + (i - (len(results) - 1) / 2) * width for x in range(len(names))]
        heights = [result.accuracy[name] for name in names]
        axes.bar(places, heights, width * 0.92, color=color, label=model)
        for x, height in zip(places, heights, strict=True):
            axes.annotate(f"{height:.0%}", (x, height), xytext=(0, 3), textcoords="offset points", ha="center", size=9)
    end = len(names) - 0.5
    axes.plot([-0.6, end], [first.chance] * 2, color=GREY, linestyle="--", linewidth=1.5)
    label_line(axes, end, first.chance, f"chance {first.chance:.0%}", GREY)
    axes.set_xticks(range(len(names)), names)
    axes.set(xlabel="normalization", ylabel="right", ylim=(0, 1.08), xlim=(-0.6, len(names) + 0.1))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], PERCENT)
    axes.set_title(f"Multiple choice by likelihood, {first.num_questions:,} questions")
    if len(results) > 1:
        axes.legend(loc="upper left", ncols=len(results))
    return figure


def pass_at_k_curves(curves: Mapping[str, Mapping[int, float]]) -> Figure:
    """pass@k against k, one line for each model."""
    figure, axes = plt.subplots(figsize=(7, 3.8))
    for (name, curve), color in zip(curves.items(), COLORS, strict=False):
        ks = sorted(curve)
        fractions = [curve[k] for k in ks]
        axes.plot(ks, fractions, marker="o", color=color)
        label_line(axes, float(ks[-1]), fractions[-1], name, color)
    most = max(k for curve in curves.values() for k in curve)
    ticks = sorted({k for curve in curves.values() for k in curve})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(k) for k in ticks])
    axes.minorticks_off()
    axes.set(
        xlabel="k, programs that may be tried", ylabel="problems solved", ylim=(-0.03, 1.05), xlim=(0.9, most * 2.2),
        title="pass@k",
    )  # fmt: skip
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], PERCENT)
    return figure


def comparison_panels(profiles: Sequence[Profile]) -> Figure:
    """Models side by side: loss, variety, speed."""
    names = [each.name for each in profiles]
    figure, (loss, variety, speed) = plt.subplots(1, 3, figsize=(11, 0.5 * len(names) + 1.6), sharey=True)
    _bars(loss, names, [each.bits_per_byte for each in profiles], BLUE, "{:.3f}")
    _bars(variety, names, [each.distinct[1] for each in profiles], GREEN, "{:.2f}")
    _bars(speed, names, [each.written_tokens_per_second for each in profiles], ORANGE, "{:,.0f}")
    loss.set(xlabel="bits per byte", title="Loss: lower is better")
    variety.set(xlabel="distinct-2", title="Variety of samples")
    speed.set(xlabel="tokens per second", title="Speed of writing")
    return figure


def ability_bars(name: str, abilities: Sequence[Ability]) -> Figure:
    """The fraction of right answers of a model for each task, with the interval in which it is 95 % certain to lie."""
    figure, axes = plt.subplots(figsize=(7.5, 0.4 * len(abilities) + 1.4))
    names, values = [each.task for each in abilities], [each.accuracy for each in abilities]
    _bars(axes, names, values, BLUE, "{:.0%}", [each.interval[1] for each in abilities])
    for place, each in enumerate(abilities):
        axes.plot(each.interval, [place, place], color=GREY, linewidth=2.5)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], PERCENT)
    axes.set(xlabel="right answers", xlim=(0, 1.15), title=f"{name}: answers to held-out examples")
    return figure


def _bars(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[float],
    colors: str | Sequence[str],
    form: str,
    ends: Sequence[float] | None = None,
) -> None:
    """Horizontal bars from the top down, each with its number behind it, or behind its place among ``ends``."""
    axes.barh(range(len(names)), values, color=colors, height=0.6)
    for i, (value, end) in enumerate(zip(values, ends or values, strict=True)):
        axes.annotate(form.format(value), (end, i), xytext=(5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(0, max(values) * 1.25 or 1)
    axes.set_ylim(len(names) - 0.5, -0.5)
