"""The stages of a run on tasks, and how often each task is drawn in all of them together."""

import pytest

from gemini_workshop.data.tasks import task_names
from gemini_workshop.data.tasks.stages import STAGES, Stage, overall, stage_of, stages_of
from gemini_workshop.errors import DataError


def test_the_stages_cover_the_run_and_all_tasks():
    assert sum(stage.share for stage in STAGES) == pytest.approx(1)
    assert set(overall(STAGES)) == set(task_names())
    assert sum(overall(STAGES).values()) == pytest.approx(1)


def test_a_stage_without_tasks_leaves_its_share_to_the_others():
    mixture, instructions = stages_of(["digits", "mnist"])
    assert (mixture.name, instructions.name) == ("mixture", "instructions")
    assert mixture.share + instructions.share == pytest.approx(1)
    assert mixture.share / instructions.share == pytest.approx(STAGES[1].share / STAGES[2].share)
    assert set(mixture.weights) == {"digits", "mnist"}


def test_overall_weights_count_each_stage_by_its_share():
    stages = [
        Stage(name="a", share=0.25, weights={"x": 1.0, "y": 3.0}),
        Stage(name="b", share=0.75, weights={"y": 2.0}),
    ]
    assert overall(stages) == pytest.approx({"x": 0.0625, "y": 0.9375})


def test_every_row_has_a_stage_also_where_shares_are_rounded():
    thirds = [Stage(name=name, share=1 / 3, weights={"x": 1.0}) for name in "abc"]
    assert "".join(stage_of(thirds, index, 100).name for index in range(100)) == "a" * 33 + "b" * 34 + "c" * 33


@pytest.mark.parametrize("weights", [{}, {"x": -1.0, "y": 2.0}, {"x": 0.0}])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(DataError, match="at least one, none of them negative"):
        Stage(name="a", share=1.0, weights=weights)
