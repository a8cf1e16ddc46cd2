"""A figure of a room: which learner is where in which exercise."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import BLUE, HIDDEN, ORANGE, RED, SKY, text_on, use_theme

COLORS = {
    "passed": BLUE,
    "wrong answer": ORANGE,
    "error in your code": RED,
    "not yours yet": SKY,
    "not started": HIDDEN,
    "": "#ffffff",
}
"""By the outcome of a check; blue and orange are told apart by every kind of color vision."""
NAMES = {"error in your code": "error", "": "not handed in"}
NAME_LETTERS = 26


def exercise_heat_map(
    exercises: Sequence[str], learners: Sequence[str], outcomes: Sequence[Sequence[str]], symbols: Mapping[str, str]
) -> Figure:
    """A map: a row for each exercise, a column for each learner, and the outcome of the check.

    Args:
        outcomes: a row for each exercise; "" where nothing was handed in.
        symbols: what to write for an outcome, beside its color.
    """
    use_theme()
    rows, columns = max(1, len(exercises)), max(1, len(learners))
    figure, axes = plt.subplots(figsize=(max(6.5, 0.26 * columns + 4.2), 0.27 * rows + 3.2))
    kinds = list(COLORS)
    if exercises and learners:
        numbers = np.array([[kinds.index(each) for each in row] for row in outcomes])
        colors = ListedColormap(list(COLORS.values()))
        axes.pcolormesh(numbers, cmap=colors, vmin=-0.5, vmax=len(kinds) - 0.5, edgecolors="white", linewidth=1)
    for row, each in enumerate(outcomes):
        for column, outcome in enumerate(each):
            color = text_on(COLORS[outcome])
            axes.text(column + 0.5, row + 0.5, symbols.get(outcome, ""), ha="center", va="center", color=color, size=8)
    axes.set_xticks(np.arange(len(learners)) + 0.5, list(map(_short, learners)), rotation=90, size=8)
    axes.set_yticks(np.arange(len(exercises)) + 0.5, list(map(_short, exercises)), size=9)
    axes.tick_params(length=0)
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    axes.spines[:].set_visible(False)
    found = Counter(outcome for row in outcomes for outcome in row)
    patches = [Patch(facecolor=COLORS[kind], edgecolor="#8c8c8c", linewidth=0.5) for kind in kinds if found[kind]]
    names = [f"{symbols.get(kind, '')} {NAMES.get(kind, kind)}".strip() for kind in kinds if found[kind]]
    figure.legend(patches, names, loc="outside lower left", ncols=3, fontsize=9)
    figure.suptitle(_finding(exercises, outcomes), x=0.01, ha="left", weight="bold")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about letters of a name that the font lacks
        figure.canvas.draw()
    return describe(figure, "A map: a row for each exercise, a column for each learner, the color says the outcome.")


def _finding(exercises: Sequence[str], outcomes: Sequence[Sequence[str]]) -> str:
    """Which exercise is the hardest for this room."""
    if not exercises or not outcomes or not outcomes[0]:
        return "Nothing was graded"
    passed = {name: list(row).count("passed") for name, row in zip(exercises, outcomes, strict=True)}
    hardest = min(passed, key=lambda name: passed[name])
    total = len(outcomes[0])
    if passed[hardest] == total:
        return f"All {total} pass every exercise"
    return f"{_short(hardest)} is the hardest: {passed[hardest]} of {total} pass"


def _short(name: str) -> str:
    """A name that fits, in which nothing is taken for a formula."""
    cut = name if len(name) <= NAME_LETTERS else f"{name[: NAME_LETTERS - 1]}…"
    return cut.replace("$", r"\$")
