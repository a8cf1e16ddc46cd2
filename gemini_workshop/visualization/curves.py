"""Figures of abilities that grow with training."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gemini_workshop.evaluation.abilities import wilson_interval
from gemini_workshop.evaluation.curves import NEVER, NUM_FITTED, AbilityCurve, extrapolated
from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import BLUE, GREY, ORANGE

COLUMNS = 3
FURTHEST = 30  # times the tokens of the newest checkpoint, as far as a line is followed


def ability_curves(curves: Sequence[AbilityCurve], title: str, num_fitted: int = NUM_FITTED) -> Figure:
    """Errors against training tokens, a panel for each task: measured, the must, and the line that leads there."""
    rows = -(-len(curves) // COLUMNS)
    figure, grid = plt.subplots(rows, COLUMNS, figsize=(10, 2.5 * rows + 0.8), squeeze=False)
    for axes in grid.flat[len(curves) :]:
        axes.set_visible(False)
    for axes, curve in zip(grid.flat, curves, strict=False):
        _panel(axes, curve, num_fitted)
    figure.supxlabel("training tokens (millions)")
    figure.supylabel("wrong answers")
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    return describe(figure, f"A panel for each of {', '.join(curve.name for curve in curves)}.")


def _panel(axes: Axes, curve: AbilityCurve, num_fitted: int) -> None:
    must, millions = 1 - curve.goal.must, np.array(curve.tokens) / 1e6
    ends = np.array([wilson_interval(number, curve.asked) for number in curve.right])
    end = millions[-1] * 1.5
    if len(curve.tokens) > 1 and curve.accuracy[-1] < curve.goal.must:
        line = extrapolated(curve, num_fitted)
        if line.tokens < NEVER:
            end = min(max(line.tokens / 1e6 * 1.5, end), millions[-1] * FURTHEST)
        x = np.geomspace(millions[-num_fitted:][0], end if line.tokens < NEVER else millions[-1], 50)
        axes.plot(x, line.scale * (x * 1e6) ** -line.exponent, color=BLUE, linestyle="--", linewidth=1.2)
    axes.vlines(millions, 1 - ends[:, 1], 1 - ends[:, 0], color=GREY, linewidth=2)
    axes.plot(millions, 1 - ends.mean(axis=1), color=BLUE, marker="o", markersize=4, linestyle="")
    axes.axhline(must, color=ORANGE, linewidth=1.5)
    axes.annotate(f"must: {must:.0%}", (end, must), xytext=(0, 3), textcoords="offset points", ha="right", color=ORANGE)
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = [tick for tick in (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0) if tick >= min(must, 1 - ends.max()) / 2]
    axes.set_yticks(ticks, [f"{tick:.0%}" for tick in ticks])
    places = np.geomspace(millions[0], end, 3)
    axes.set_xticks(places, [f"{place:,.1f}" if place < 10 else f"{place:,.0f}" for place in places])
    axes.minorticks_off()
    axes.set_title(curve.name)
