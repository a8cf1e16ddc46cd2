"""Points grow in proportion between a start and a goal."""

import pytest

from gemini_workshop.errors import WorkshopError
from gemini_workshop.evaluation.rubric import RUBRIC, rubric_table, total_points

STARTS = {criterion.name: criterion.start for criterion in RUBRIC}
GOALS = {criterion.name: criterion.goal for criterion in RUBRIC}


def test_goals_earn_a_hundred_points_and_starts_none():
    assert total_points(GOALS) == 100
    assert total_points(STARTS) == 0
    assert total_points({name: (STARTS[name] + GOALS[name]) / 2 for name in GOALS}) == pytest.approx(50)


def test_beyond_a_goal_nothing_more_is_earned_and_the_goal_is_shown():
    values = GOALS | {"throughput": 31.7, "expert balance": 9.0}
    shown = rubric_table(values)
    assert total_points(values) == 90
    assert "31.7" not in shown
    assert shown.startswith("90 of 100 points")


def test_a_measurement_that_is_missing_is_named():
    with pytest.raises(WorkshopError, match="no value for needle, throughput"):
        total_points({name: 0.0 for name in GOALS if name not in ("needle", "throughput")})
