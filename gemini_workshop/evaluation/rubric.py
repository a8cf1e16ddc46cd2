"""How many points a multimodal model earns: six measurements on held-out data, each between a start and a goal.

A value at the start, or worse, earns nothing; one at the goal, or better, earns all points of its line; in between,
points grow in proportion.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gemini_workshop.errors import WorkshopError
from gemini_workshop.tables import table


@dataclass(frozen=True, kw_only=True, slots=True)
class Criterion:
    """A line of the rubric.

    Args:
        start: the value that earns nothing yet.
        goal: the value that earns all points; below the start where less is better.
    """

    name: str
    unit: str
    start: float
    goal: float
    points: int

    def earned(self, value: float) -> float:
        """The points for a value.

        Example:
            >>> stories = Criterion(name="stories", unit="bits per byte", start=3.0, goal=1.0, points=20)
            >>> stories.earned(2.5), stories.earned(0.9), stories.earned(4.0)
            (5.0, 20.0, 0.0)
        """
        progress = (value - self.start) / (self.goal - self.start)
        return self.points * min(max(progress, 0.0), 1.0) + 0.0  # never minus zero


RUBRIC = (
    Criterion(name="stories", unit="bits per byte", start=3.0, goal=1.0, points=20),
    Criterion(name="images", unit="right", start=0.1, goal=0.95, points=20),
    Criterion(name="audio", unit="right", start=0.0, goal=0.95, points=20),
    Criterion(name="needle", unit="found", start=0.0, goal=0.95, points=20),
    Criterion(name="expert balance", unit="busiest expert / mean", start=4.0, goal=1.5, points=10),
    Criterion(name="throughput", unit="times as fast as without a cache", start=1.0, goal=2.0, points=10),
)
"""Of the project in lesson 13: 100 points. The starts are what a model earns that guesses, or that learns nothing."""


def total_points(values: Mapping[str, float]) -> float:
    """The points of all lines.

    Raises:
        WorkshopError: a measurement is missing.
    """
    if missing := [criterion.name for criterion in RUBRIC if criterion.name not in values]:
        raise WorkshopError(f"The rubric has no value for {', '.join(missing)}. Measure it, or give its start.")
    return sum(criterion.earned(values[criterion.name]) for criterion in RUBRIC)


def rubric_table(values: Mapping[str, float]) -> str:
    """Measurement, value, goal and points of each line, and the sum.

    A value beyond the goal is shown as the goal: it earns no more.
    """
    rows = [["measured on held-out data", "value", "start", "goal", "points"]]
    for criterion in RUBRIC:
        low, high = sorted((criterion.start, criterion.goal))
        value = min(max(values[criterion.name], low), high)
        numbers = [f"{number:.2f}" for number in (value, criterion.start, criterion.goal)]
        earned = f"{criterion.earned(value):.0f} of {criterion.points}"
        rows.append([f"{criterion.name} ({criterion.unit})", *numbers, earned])
    return table(rows, f"{total_points(values):.0f} of {sum(each.points for each in RUBRIC)} points\n")
