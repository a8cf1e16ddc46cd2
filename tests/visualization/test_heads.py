"""Figures about heads show the numbers that they are given."""

import matplotlib.pyplot as plt
import pytest
import torch

from gemini_workshop.visualization import heads as figures
from gemini_workshop.visualization.theme import COLORS


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def test_cutting_shows_every_number_in_the_color_of_its_token():
    x = torch.tensor([[0.0, 1, 2, 3], [10, 11, 12, 13]])
    figure = figures.split_into_heads(x, {"right": x.view(2, 2, 2).transpose(0, 1), "wrong": x.view(2, 2, 2)})
    before, head_0, _, _, wrong_0, _ = figure.axes
    assert texts_of(before) == ["0", "1", "2", "3", "10", "11", "12", "13"]
    assert texts_of(head_0) == ["0", "1", "10", "11"]
    assert texts_of(wrong_0) == ["0", "1", "2", "3"]
    second_token = plt.matplotlib.colors.to_rgb(COLORS[1])
    assert [patch.get_facecolor()[:3] == second_token for patch in head_0.patches] == [False, False, True, True]


def test_a_line_is_as_wide_as_the_share_and_joins_who_asks_to_who_is_looked_at():
    weights = torch.tensor([[0.0, 0.4, 0.6], [0.99, 0.01, 0.0]])
    axes = figures.attention_lines(weights, ["a", " b"], ["x", "y", "z"], "Title").axes[0]
    drawn = [(list(line.get_ydata()), round(line.get_linewidth() / 5, 2)) for line in axes.lines]
    assert drawn == [([0, 1], 0.4), ([0, 2], 0.6), ([1, 0], 0.99)]  # a hundredth is not drawn
    assert {"a", "␣b", "x", "y", "z"} <= set(texts_of(axes))


def test_two_look_ups_draws_a_curve_and_two_answers_for_every_seed():
    curves = {"one": [[0.0] * 20, [1.0] * 20], "two": [[0.5] * 20] * 2}
    answers = {"one": [[0.9, 0.1], [1.0, 0.2]], "two": [[1.0, 0.9]] * 2}
    left, right = figures.two_look_ups(curves, answers).axes
    assert [line.get_ydata()[-1] for line in left.lines] == pytest.approx([0.0, 1.0, 0.5, 0.5])
    better_first = [dots.get_offsets()[:, 1].tolist() for dots in right.collections]
    assert better_first == [[0.9, 1.0], [0.1, 0.2], [1.0, 1.0], [0.9, 0.9]]


def test_weights_by_head_marks_what_was_asked_for():
    axes = figures.weights_by_head(torch.tensor([[0.9, 0.04, 0.06]]), ["Tom red", "Mia blue", "Ben red"], [2]).axes[0]
    assert texts_of(axes) == ["0.90", "0.06"]
    assert [label.get_weight() for label in axes.get_xticklabels()] == ["normal", "normal", "bold"]


def test_head_scores_frames_the_highest_of_each_table():
    table = torch.zeros(3, 4)
    table[2, 1] = 0.5
    left, right = figures.head_scores({"one": table, "two": table.flip(0)}).axes
    assert [axes.patches[0].get_xy() for axes in (left, right)] == [(0.5, 1.5), (0.5, -0.5)]
    assert [axes.get_title(loc="left") for axes in (left, right)] == ["one", "two"]


def test_numbers_of_heads_and_of_what_is_left_are_drawn_as_given():
    line = figures.too_many_heads({1: 0.2, 8: 1.0}).axes[0].lines[0]
    assert [list(line.get_xdata()), list(line.get_ydata())] == [[1.0, 8.0], [0.2, 1.0]]
    dots = figures.served_by(torch.tensor([0.25, 0.5]), torch.tensor([1.0, 0.75])).axes[0].collections[0]
    assert dots.get_offsets().tolist() == [[0.25, 1.0], [0.5, 0.75]]


def test_the_shapes_of_a_layer_are_written_along_its_arrows():
    written = [text.get_text().strip() for text in figures.layer_shapes("Shapes").axes[0].texts]
    assert written.count("B T D") == 2
    assert written.count("B S D") == 2
    assert written.count("B H S C") == 2
    assert written.count("split") == 3
