"""Figures about experts show the numbers that they are given."""

import pytest
import torch

from gemini_workshop.visualization import experts as figures
from gemini_workshop.visualization.showing import alt_text

FALLING = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.6, 0.3]]).repeat(10, 1)


def test_each_way_to_keep_neurons_is_a_named_line():
    figure = figures.loss_by_kept_neurons({"own": [2.5, 2.0], "same": [4.0, 2.0]}, (8, 64), "Title")
    axes = figure.axes[0]
    assert [list(line.get_ydata()) for line in axes.lines] == [[2.5, 2.0], [4.0, 2.0]]
    assert [text.get_text() for text in axes.texts] == ["own", "same"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["8", "64"]


def test_a_token_reaches_its_experts_with_their_weights():
    figure = figures.dispatch(4, [1, 3], [0.57, 0.43])
    written = [text.get_text() for text in figure.axes[0].texts]
    assert {"0.57", "0.43", "expert 0", "expert 3"} <= set(written)


def test_maps_of_the_load_have_the_busiest_expert_on_top():
    figure = figures.load_over_training({"a": FALLING, "b": FALLING.flip(1)}, "Title")
    for axes in figure.axes[:2]:
        rows = torch.as_tensor(axes.images[0].get_array())
        assert rows.shape == (3, 20)
        assert rows[:, -1].tolist() == pytest.approx([0.6, 0.3, 0.1])
    assert "a, b" in alt_text(figure)


def test_the_busiest_expert_is_drawn_as_a_multiple_of_the_mean():
    figure = figures.busiest_over_training({"a": FALLING}, "Title")
    assert list(figure.axes[0].lines[0].get_ydata()) == pytest.approx([3 * 0.55] * 11)
    assert [text.get_text() for text in figure.axes[0].texts] == ["a"]


def test_bits_are_points_beside_those_of_chance():
    figure = figures.bits_known(
        {"token": [1.0, 1.5], "story": [0.2, 0.1]}, {"token": [0.5, 0.4], "story": [0.1, 0.2]}, ""
    )
    points = [axes.get_offsets()[:, 0].tolist() for axes in figure.axes[0].collections]
    assert points == [[1.0, 1.5], [0.5, 0.4], [0.2, 0.1], [0.1, 0.2]]


def test_a_row_of_the_map_is_a_token():
    figure = figures.experts_of_tokens([" the", "\n"], torch.tensor([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0]]), "")
    axes = figure.axes[0]
    assert axes.images[0].get_array().tolist() == [[0.25, 0.75, 0.0], [1.0, 0.0, 0.0]]
    assert len(axes.get_yticklabels()) == 2
