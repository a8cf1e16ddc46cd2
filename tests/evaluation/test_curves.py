"""Right answers against training tokens, and what a missed must would take."""

import math

import pytest

from gemini_workshop.evaluation.curves import AbilityCurve, curve_table, curves_of, extrapolated, tokens_until
from gemini_workshop.evaluation.goals import Goal
from gemini_workshop.evaluation.report import Line
from gemini_workshop.visualization.curves import ability_curves

GOAL = Goal(must=0.9, aim=0.95)
TOKENS = (1_000_000, 2_000_000, 4_000_000, 8_000_000)


def curve(*right, asked=10_000, goal=GOAL):
    return AbilityCurve(name="task", tokens=TOKENS[: len(right)], right=right, asked=asked, goal=goal)


def test_a_power_law_is_followed_to_the_must():
    far = extrapolated(curve(2000, 6000, 8000, 9000 - 500, goal=Goal(must=0.95, aim=0.99)), num_fitted=2)
    exponent = math.log(0.2 / 0.15) / math.log(2)
    assert far.exponent == pytest.approx(exponent, rel=0.01)
    assert far.tokens == pytest.approx(8e6 * (0.15 / 0.05) ** (1 / exponent), rel=0.02)
    assert far.low < far.tokens < far.high


def test_more_questions_make_the_interval_narrower():
    few, many = (
        extrapolated(curve(*(asked * part // 10 for part in (2, 4, 5, 6)), asked=asked)) for asked in (50, 5000)
    )
    assert few.high / few.low > 2 * many.high / many.low
    assert few == extrapolated(curve(10, 20, 25, 30, asked=50)), "the same draws each time"


def test_errors_that_do_not_fall_never_reach_it():
    assert tokens_until(0.1, 0.5, 0.0) == tokens_until(0.1, 0.5, -1.0) == math.inf
    assert tokens_until(0.1, 0.5, 1e-6) == math.inf
    falls_back = extrapolated(curve(5000, 4000, 3000, 2000)).to_dict()
    assert (falls_back["tokens"], falls_back["exponent"] < 0) == (None, True)
    assert "never" in curve_table("run", [curve(5000, 4000, 3000, 2000)])


def test_the_table_says_where_each_must_would_be_reached():
    reached, missed = curve(80, 90, 95, 92, asked=100), curve(20, 40, 55, 66, asked=100)
    head, first, second = curve_table("run", [reached, missed]).splitlines()[-3:]
    assert head.split()[:9] == ["tokens", "1.0", "M", "2.0", "M", "4.0", "M", "8.0", "M"]
    assert first.split() == ["task", "80.0%", "90.0%", "95.0%", "92.0%", "90%", "reached", "-", "-"]
    assert second.split()[5:8] == ["90%", f"{extrapolated(missed).tokens / 1e6:,.1f}", "M"]


def test_no_wrong_answer_at_all_and_no_right_one_are_points_of_the_line():
    assert math.isfinite(extrapolated(curve(0, 3, 6, 8, asked=10)).tokens)
    assert extrapolated(curve(7, 9, 10, 10, asked=10, goal=Goal(must=0.999, aim=1.0))).tokens > 8e6


def test_curves_are_of_lines_with_goals_for_right_answers():
    interval = (0.1, 0.9)
    first = [
        Line(name="films", value=0.25, interval=interval, goal=GOAL, asked=8),
        Line(name="busiest expert", value=1.5, goal=Goal(must=1.5, aim=1.2)),
        Line(name="arithmetic", value=0.5, interval=interval, asked=8),
    ]
    second = [Line(name="films", value=0.75, interval=interval, goal=GOAL, asked=8), *first[1:]]
    [films] = curves_of([100, 200], [first, second])
    assert (films.name, films.tokens, films.right, films.asked) == ("films", (100, 200), (2, 6), 8)
    assert films.accuracy == [0.25, 0.75]


def test_each_task_has_a_panel_with_its_must():
    figure = ability_curves([curve(80, 90, 95, 92, asked=100), curve(20, 40, 55, 66, asked=100)], "run")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [len(axes.lines) for axes in shown] == [2, 3], "points and must, and the line where it is missed"
    assert "must: 10%" in [text.get_text() for text in shown[0].texts]
