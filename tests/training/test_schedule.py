import math

import pytest

from gemini_workshop.config import TrainingConfig
from gemini_workshop.training.schedule import (
    constant_schedule,
    cosine_schedule,
    learning_rate_at,
    linear_schedule,
    wsd_schedule,
)

RUN = {"steps": 100, "warmup_steps": 10, "highest": 2.0, "final": 0.5}


def test_the_rate_rises_in_a_line_from_zero():
    assert [cosine_schedule(step, **RUN) for step in (0, 1, 5, 10)] == pytest.approx([0.0, 0.2, 1.0, 2.0])


def test_halfway_down_is_the_mean_of_highest_and_final():
    assert cosine_schedule(55, **RUN) == pytest.approx(1.25)


def test_a_third_of_the_way_down_is_the_cosine_of_sixty_degrees():
    assert cosine_schedule(40, **RUN) == pytest.approx(0.5 + 1.5 * (1 + math.cos(math.pi / 3)) / 2)


def test_the_rate_ends_at_the_final_one_and_stays_there():
    assert cosine_schedule(100, **RUN) == cosine_schedule(1000, **RUN) == 0.5


def test_after_the_warm_up_the_rate_never_rises():
    rates = [cosine_schedule(step, **RUN) for step in range(10, 101)]
    assert rates == sorted(rates, reverse=True)


def test_without_warm_up_the_first_rate_is_the_highest():
    assert cosine_schedule(0, steps=5, warmup_steps=0, highest=1.0, final=0.1) == 1.0


def test_a_run_that_is_all_warm_up_ends_at_the_final_rate():
    assert cosine_schedule(5, steps=5, warmup_steps=5, highest=1.0, final=0.1) == 0.1


def test_a_line_falls_by_the_same_amount_at_every_step():
    assert [linear_schedule(step, **RUN) for step in (5, 10, 40, 55, 100, 200)] == pytest.approx(
        [1, 2, 1.5, 1.25, 0.5, 0.5]
    )


def test_wsd_stays_until_its_decay_begins():
    rates = [wsd_schedule(step, **RUN, decay_steps=40) for step in (5, 10, 35, 60, 80, 100, 200)]
    assert rates == pytest.approx([1.0, 2.0, 2.0, 2.0, 1.25, 0.5, 0.5])


def test_a_decay_longer_than_the_run_begins_after_the_warm_up():
    assert wsd_schedule(55, **RUN, decay_steps=1000) == pytest.approx(1.25)


def test_a_constant_rate_stays():
    rates = [constant_schedule(step, warmup_steps=10, highest=2.0) for step in (0, 5, 10, 5000)]
    assert rates == [0.0, 1.0, 2.0, 2.0]
    assert constant_schedule(0, warmup_steps=0, highest=2.0) == 0.0


@pytest.mark.parametrize(
    ("schedule", "expected"), [("cosine", 1.25), ("linear", 1.25), ("wsd", 2.0), ("constant", 2.0)]
)
def test_the_configuration_names_the_schedule(schedule, expected):
    config = TrainingConfig(
        steps=100,
        batch_size=1,
        warmup_steps=10,
        learning_rate=2.0,
        final_rate_fraction=0.25,
        schedule=schedule,
        decay_fraction=0.4,
    )
    assert learning_rate_at(55, config) == pytest.approx(expected)
