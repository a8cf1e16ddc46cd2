"""How right answers grow with training, from the checkpoints of one run, and at how many tokens they would be enough.

    error = a * tokens^-b      a straight line in the logarithms of both, least squares over the newest checkpoints

The error of a checkpoint is 1 minus the middle of Wilson's interval, which is never 0, even if no answer was wrong.
How far the extrapolation can be trusted: the answers are drawn again, as often right as was measured, and the line is
fitted to each draw. That is the uncertainty of having asked few questions; whether the line stays straight, no
measurement says.

Source: Hestness et al. 2017, arXiv:1712.00409 (errors fall as a power of the data), section 2.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import linear_regression

import numpy as np

from gemini_workshop.evaluation.abilities import CONFIDENCE, wilson_interval
from gemini_workshop.evaluation.goals import Goal
from gemini_workshop.evaluation.report import Line
from gemini_workshop.tables import table

NUM_FITTED = 4  # of the newest checkpoints
NUM_DRAWS = 400
NEVER = math.inf


@dataclass(frozen=True, kw_only=True, slots=True)
class AbilityCurve:
    """Right answers to one task at several checkpoints, the oldest first.

    Args:
        tokens: that each was trained on.
        right: answers of ``asked`` questions.
    """

    name: str
    tokens: tuple[int, ...]
    right: tuple[int, ...]
    asked: int
    goal: Goal

    @property
    def accuracy(self) -> list[float]:
        """The fraction of right answers at each checkpoint."""
        return [number / self.asked for number in self.right]


@dataclass(frozen=True, kw_only=True, slots=True)
class Extrapolation:
    """Where a curve would reach its must.

    Args:
        scale, exponent: the error is ``scale * tokens ** -exponent``.
        tokens: at which the must is reached; infinite if errors do not fall.
        low, high: 95 % of the draws lie between.
    """

    scale: float
    exponent: float
    tokens: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """Plain data; None in the place of a number of tokens that is infinite."""
        return {name: None if number == NEVER else number for name, number in asdict(self).items()}


def curves_of(tokens: Sequence[int], lines: Sequence[Sequence[Line]]) -> list[AbilityCurve]:
    """A curve for each line with a goal for right answers, from the lines of each checkpoint."""
    curves = []
    for same in zip(*lines, strict=True):
        first = same[0]
        if first.goal is not None and first.interval is not None and first.asked is not None:
            right = tuple(round(line.value * first.asked) for line in same)
            curves.append(
                AbilityCurve(name=first.name, tokens=tuple(tokens), right=right, asked=first.asked, goal=first.goal)
            )
    return curves


def power_law(tokens: Sequence[int], errors: Sequence[float]) -> tuple[float, float]:
    """Scale and exponent of the power law through errors, by least squares in the logarithms.

    Example:
        >>> scale, exponent = power_law([100, 400, 1600], [0.4, 0.2, 0.1])
        >>> round(scale, 6), round(exponent, 6)
        (4.0, 0.5)
    """
    slope, height = linear_regression([math.log(each) for each in tokens], [math.log(each) for each in errors])
    return math.exp(height), -slope


def tokens_until(error: float, scale: float, exponent: float) -> float:
    """Where a power law falls to an error; infinite if it does not fall.

    Example:
        >>> round(tokens_until(0.05, 4.0, 0.5))
        6400
    """
    power = math.log(scale / error) / exponent if exponent > 0 else NEVER
    return math.exp(power) if power < 700 else NEVER  # about the largest number there is


def extrapolated(curve: AbilityCurve, num_fitted: int = NUM_FITTED, seed: int = 0) -> Extrapolation:
    """The line through the newest points of a curve, followed to its must."""
    tokens, right = curve.tokens[-num_fitted:], curve.right[-num_fitted:]
    error = 1 - curve.goal.must
    scale, exponent = power_law(tokens, [_error(number, curve.asked) for number in right])
    chances = [number / curve.asked for number in right]
    drawn = np.random.default_rng(seed).binomial(curve.asked, chances, (NUM_DRAWS, len(right))).tolist()
    found = sorted(
        tokens_until(error, *power_law(tokens, [_error(number, curve.asked) for number in again])) for again in drawn
    )
    outside = int((1 - CONFIDENCE) / 2 * NUM_DRAWS)
    low, high = found[outside], found[-1 - outside]
    return Extrapolation(
        scale=scale, exponent=exponent, tokens=tokens_until(error, scale, exponent), low=low, high=high
    )


def _error(num_right: int, num_asked: int) -> float:
    low, high = wilson_interval(num_right, num_asked)
    return 1 - (low + high) / 2


def curve_table(title: str, curves: Sequence[AbilityCurve], num_fitted: int = NUM_FITTED) -> str:
    """Each curve at each checkpoint, its must, and the tokens that it would take."""
    rows = [["tokens", *map(_short, curves[0].tokens), "must", "reached at", "95 % between", "exponent"]]
    for curve in curves:
        points = [f"{accuracy:.1%}" for accuracy in curve.accuracy]
        rows.append([curve.name, *points, f"{100 * curve.goal.must:g}%", *_when(curve, num_fitted)])
    return table(rows, f"{title}\n")


def _when(curve: AbilityCurve, num_fitted: int) -> list[str]:
    if curve.accuracy[-1] >= curve.goal.must:
        return ["reached", "-", "-"]
    if len(curve.tokens) < 2:
        return ["-", "-", "-"]
    far = extrapolated(curve, num_fitted)
    return [_short(far.tokens), f"{_short(far.low)} and {_short(far.high)}", f"{far.exponent:.2f}"]


def _short(tokens: int | float) -> str:
    """So many tokens in few letters.

    Example:
        >>> _short(819_200), _short(16_400_000), _short(3e10), _short(1e15), _short(math.inf)
        ('0.8 M', '16.4 M', '30,000.0 M', 'far', 'never')
    """
    if tokens == NEVER:
        return "never"
    return f"{tokens / 1e6:,.1f} M" if tokens < 1e12 else "far"
