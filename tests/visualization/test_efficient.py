"""Figures about cheaper attention show the numbers that they are given."""

import torch

from gemini_workshop.visualization import efficient as figures


def test_curves_are_named_at_their_ends_and_levels_are_marked():
    lines = {"a": [1.0, 10.0, 100.0], "b": [1.0, 9.0, 99.0]}
    figure = figures.curves([1024, 2048, 2**20], lines, "", labels=("tokens", "GiB"), levels={"weights": 5.0})
    axes = figure.axes[0]
    assert [list(line.get_ydata()) for line in axes.lines[:2]] == list(lines.values())
    heights = {text.get_text(): text.xy[1] for text in axes.texts}
    assert heights.keys() == {"a", "b", "weights"}
    assert heights["a"] > 1.1 * heights["b"], "their ends are close, so the upper name is moved up"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1k", "2k", "1M"]


def test_a_pattern_tells_one_step_from_two():
    mask = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)
    figure = figures.patterns({"chain": mask}, "")
    assert figure.axes[0].images[0].get_array().tolist() == [[0, 3, 3, 3], [0, 0, 3, 3], [1, 0, 0, 3], [2, 2, 2, 0]]


def test_reach_leaves_out_what_did_not_change_and_marks_one_window_per_block():
    figure = figures.reach(torch.tensor([[0.0, 1.0, 0.1, 0.0], [0.0, 1.0, 1.0, 0.01]]), 1, 2, "")
    axes = figure.axes[0]
    assert axes.images[0].get_array().mask.tolist() == [[True, False, False, True], [True, False, False, False]]
    assert [line.get_xdata()[0] for line in axes.lines] == [2.5, 3.5]


def test_bars_are_as_long_as_the_mean_and_each_value_is_a_point():
    axes = figures.bars({"x": [1.0, 3.0], "y": [4.0, 6.0]}, "", "loss").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [2.0, 5.0]
    assert [points.get_offsets()[:, 0].tolist() for points in axes.collections] == [[1.0, 3.0], [4.0, 6.0]]
