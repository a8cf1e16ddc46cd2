"""Figures about recurrence show the numbers that they are given."""

import numpy as np
import pytest
import torch

from gemini_workshop.visualization import recurrence as figures


def values(line):
    return torch.as_tensor(np.asarray(line.get_ydata()))


def test_states_have_a_row_for_each_unit_and_a_column_for_each_token():
    states = [torch.rand(3, 5), torch.rand(3, 5)]
    figure = figures.states(states, [["a", " b", "c"], ["c", "a", " b"]])
    for axes, state in zip(figure.axes, states, strict=False):
        assert torch.equal(torch.as_tensor(np.asarray(axes.images[0].get_array())), state.T)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["a", "␣b", "c"]


def test_a_pulse_is_drawn_for_each_unit():
    curves = {"weight 1": torch.rand(4), "weight 2": torch.rand(4)}
    axes = figures.pulse(curves, "Title").axes[0]
    assert all(torch.equal(values(line), curve) for line, curve in zip(axes.lines, curves.values(), strict=True))
    assert [text.get_text() for text in axes.texts] == list(curves)


def test_gradients_stand_on_a_logarithmic_axis_with_their_bounds_dotted():
    curves, bounds = {"RNN": torch.rand(6), "other": torch.rand(6)}, {"RNN": torch.ones(6)}
    axes = figures.gradients(curves, bounds, "Title", "the bound").axes[0]
    assert axes.get_yscale() == "log"
    assert "dotted: the bound" in [text.get_text() for text in axes.texts]
    assert [line.get_linestyle() for line in axes.lines] == ["-", ":", "-"]
    assert axes.lines[0].get_color() == axes.lines[1].get_color() != axes.lines[2].get_color()
    assert torch.equal(values(axes.lines[1]), bounds["RNN"])


def test_the_axis_ends_with_the_data_and_leaves_room_for_names():
    curves = {"a": torch.rand(31)}
    for figure in (figures.pulse(curves, ""), figures.gradients(curves, {}, "")):
        axes = figure.axes[0]
        assert list(axes.get_xticks()) == [0, 10, 20, 30]
        assert axes.get_xlim()[1] > 35


def test_several_kinds_of_lstm_have_colors_of_their_own_beside_the_rnn():
    names = ["RNN", "LSTM, bias 0", "LSTM, bias 1", "LSTM, bias 3"]
    axes = figures.gradients({name: torch.rand(3) for name in names}, {}, "").axes[0]
    assert len({line.get_color() for line in axes.lines}) == 4


def test_memory_and_gradient_stand_side_by_side():
    memory, norms = {"a": torch.rand(3)}, {"a": torch.rand(3)}
    left, right = figures.memory_and_gradient(memory, norms).axes
    assert torch.equal(values(left.lines[0]), memory["a"])
    assert torch.equal(values(right.lines[0]), norms["a"])


def test_recall_draws_every_seed_and_their_mean():
    accuracy = np.array([[1.0, 0.5], [0.8, 0.1]])
    axes = figures.recall([5, 10], {"RNN": accuracy}, 0.125, "Title").axes[0]
    guessing, *seeds, mean = axes.lines
    assert set(guessing.get_ydata()) == {0.125}
    assert [list(line.get_ydata()) for line in seeds] == accuracy.tolist()
    assert list(mean.get_ydata()) == [0.9, 0.3]


@pytest.mark.parametrize("draw", [figures.depths, figures.seconds])
def test_what_grows_with_the_length_is_drawn_for_each_kind(draw):
    by_kind = {"RNN": [1, 2, 4], "attention": [3, 3, 3]}
    if draw is figures.seconds:
        by_kind = {name: [0.1 * n for n in numbers] for name, numbers in by_kind.items()}
    axes = draw([8, 16, 32], by_kind).axes[0]
    assert [list(line.get_ydata()) for line in axes.lines] == list(by_kind.values())
    assert axes.get_ylabel()
    if draw is figures.seconds:
        assert axes.get_title(loc="left") == "At 32 tokens, the RNN takes longest on this machine"


def test_a_real_gradient_is_shown_relative_to_distance_one():
    curves = {"trained": torch.tensor([9.0, 4.0, 2.0, 1.0]), "fresh": torch.tensor([1.0, 8.0, 8.0, 16.0])}
    axes = figures.real_gradient(curves, "Title").axes[0]
    assert values(axes.lines[0]).tolist() == [1.0, 0.5, 0.25]
    assert values(axes.lines[1]).tolist() == [1.0, 1.0, 2.0]
