"""Figures about positions show the numbers that they are given."""

import numpy as np
import pytest
import torch

from gemini_workshop.models.embeddings import rotary_frequencies, sinusoidal_positions
from gemini_workshop.visualization import positions as figures


def test_waves_are_drawn_with_their_likeness_to_the_middle_one():
    vectors = sinusoidal_positions(torch.arange(9), 6)
    picture, line = figures.waves(vectors).axes[:2]
    assert np.array_equal(picture.images[0].get_array(), vectors.T.numpy())
    x, y = line.lines[0].get_data()
    assert list(x) == list(range(-4, 5))
    assert y[4] == pytest.approx(3.0)  # three pairs, each of length one


def test_the_score_of_a_turned_pair_depends_on_the_difference_of_the_angles():
    def title(query_angle, key_angle):
        return figures.rotated_pair(query_angle, key_angle, (1.0, 0.0), (1.0, 0.0)).axes[0].get_title(loc="left")

    assert title(0.0, 0.0) == "The score of this pair is 1.00"
    assert title(2.0, 1.0) == title(7.0, 6.0) == f"The score of this pair is {np.cos(1):.2f}"


def test_every_pair_has_a_clock_that_says_its_turns():
    figure = figures.clock_hands(torch.tensor([2 * torch.pi, torch.pi]), "Position 3")
    assert [axes.get_title() for axes in figure.axes] == ["1 turns", "0.5 turns"]


def test_scores_are_drawn_for_each_way():
    scores = {"a": torch.rand(4, 5), "b": -torch.rand(4, 5)}
    figure = figures.scores_by_position(scores)
    *maps, bar = figure.axes
    assert [axes.get_title(loc="left") for axes in maps] == ["a", "b"]
    assert bar.get_ylabel() == "score"
    drawn = [axes.images[0].get_array() for axes in maps]
    assert len({axes.images[0].get_clim() for axes in maps}) == 1
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(drawn, scores.values(), strict=True))


def test_moved_rows_are_marked_where_training_ended():
    figure = figures.moved_rows(torch.tensor([1.0, 2.0, 0.0, 0.0]), trained_tokens=2)
    assert list(figure.axes[0].lines[0].get_xdata()) == [1.5, 1.5]


def test_recall_has_a_line_for_each_kind_and_labels_that_do_not_touch():
    right = {"a": [[0.9, 0.5], [0.7, 0.5]], "b": [[0.8, 0.5]], "c": [[0.7, 0.49]]}
    right = {name: np.array(seeds) for name, seeds in right.items()}
    axes = figures.recall_by_length([64, 128], right, trained_tokens=64, title="").axes[0]
    means = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_ydata().tolist() for line in means] == [seeds.mean(0).tolist() for seeds in right.values()]
    assert len([line for line in axes.lines if line.get_linewidth() == 0.8]) == 4
    heights = sorted(text.xy[1] for text in axes.texts if text.get_text() in right)
    assert min(np.diff(heights)) > 0.05


def test_angles_met_are_frequencies_times_tokens():
    trained = rotary_frequencies(8, 100.0)
    axes = figures.angles_met({"as trained": trained, "slow": trained / 4}, 64, 256).axes[0]
    drawn = [torch.as_tensor(line.get_ydata()) for line in axes.lines]
    for got, expected in zip(drawn, (64 * trained, 256 * trained, 64 * trained), strict=True):
        assert torch.allclose(got, expected)


def test_losses_are_drawn_between_their_edges():
    losses = {"a": [2.0, 3.0], "b": [4.0, 5.0]}
    axes = figures.loss_by_position([128, 256, 512], losses, 256, "").axes[0]
    stairs = [patch.get_data() for patch in axes.patches if hasattr(patch, "get_data")]
    assert [list(data.values) for data in stairs] == list(losses.values())
    assert all(list(data.edges) == [128, 256, 512] for data in stairs)
