"""Figures about training runs show the numbers that they are given."""

import math

import pytest

from gemini_workshop.training.rehearsal.clinic import ClinicRun
from gemini_workshop.visualization import runs as figures


def test_a_schedule_is_a_line_that_bears_its_name():
    axes = figures.schedules({"short": [0.0, 1.0], "long": [0.0, 1.0, 0.5]}, "Title").axes[0]
    assert [list(line.get_ydata()) for line in axes.lines] == [[0.0, 1.0], [0.0, 1.0, 0.5]]
    assert [text.get_text() for text in axes.texts] == ["short", "long"]


def test_each_tensor_has_both_of_its_sizes_in_its_row():
    gradients, steps = {"a": 0.1, "b": 0.001}, {"b": 0.02, "a": 0.03}
    axes = figures.sizes_by_tensor(gradients, steps, "Title", ("gradient", "step")).axes[0]
    assert [list(line.get_xdata()) for line in axes.lines] == [[0.1, 0.001], [0.03, 0.02]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]


def test_a_curve_has_every_step_and_the_measured_ones_over_the_floors():
    history = [{"step": 1, "loss_nats": 6.0, "validation_nats": 6.1}, {"step": 2, "loss_nats": 5.0}]
    history.append({"step": 3, "loss_nats": 4.0, "validation_nats": 4.5})
    axes = figures.learning_curve(history, {"unigram": 5.2}, "Title").axes[0]
    training, validation, floor = axes.lines
    assert list(training.get_ydata()) == [6.0, 5.0, 4.0]
    assert (list(validation.get_xdata()), list(validation.get_ydata())) == ([1, 3], [6.1, 4.5])
    assert set(floor.get_ydata()) == {5.2}
    assert [text.get_text() for text in axes.texts] == ["training", "validation", "unigram"]


def test_a_sweep_has_a_line_through_the_medians():
    axes = figures.rate_sweep({0.1: [5.0, 7.0, 6.0], 0.01: [4.0, 3.0, 3.5]}, "Title", (5.2, "unigram")).axes[0]
    *points, medians, level = axes.lines
    assert [list(seed.get_ydata()) for seed in points] == [[4.0, 5.0], [3.0, 7.0], [3.5, 6.0]]
    assert (list(medians.get_xdata()), list(medians.get_ydata())) == ([0.01, 0.1], [3.5, 6.0])
    assert set(level.get_ydata()) == {5.2}


def test_a_clinic_shows_each_run_over_the_healthy_one():
    healthy = ClinicRun(training=(4.0,) * 20, validation=(4.0, 3.0), vocab_size=50)
    ill = {letter: ClinicRun(training=(5.0,) * 20, validation=(4.0, 9.0), vocab_size=50) for letter in "AB"}
    panels = figures.clinic(ill, healthy, 50, "Title").axes
    assert [axes.get_title("left") or axes.get_title() for axes in panels[:2]] == ["A", "B"]
    for axes in panels[:2]:
        gray, training, validation, level = axes.lines
        assert list(gray.get_xdata()) == [0, 10]
        assert (list(gray.get_ydata()), list(validation.get_ydata())) == ([4.0, 3.0], [4.0, 9.0])
        assert list(training.get_ydata()) == [5.0] * 20
        assert level.get_ydata()[0] == pytest.approx(math.log(50))
