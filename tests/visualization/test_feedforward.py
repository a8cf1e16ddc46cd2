"""Figures about feed-forward layers show the numbers that they are given."""

import pytest
import torch

from gemini_workshop.visualization import feedforward as figures


def test_corner_maps_draw_each_plane_with_what_was_asked():
    maps = {"a": torch.zeros(5, 5), "b": torch.rand(5, 5)}
    corners, targets = torch.tensor([[-1.0, 1.0], [1.0, 1.0]]), torch.tensor([1.0, -1.0])
    figure = figures.corner_maps(maps, 1.5, corners, targets)
    for axes, plane in zip(figure.axes, maps.values(), strict=False):
        assert torch.equal(torch.as_tensor(axes.images[0].get_array()), plane)
        assert [(t.get_position(), t.get_text()) for t in axes.texts] == [((-1.0, 1.0), "+1"), ((1.0, 1.0), "-1")]


def test_learning_curves_are_drawn_and_named():
    figure = figures.learning_curves({"up": [1.0, 2.0], "down": [2.0, 1.0]}, "loss", "Title")
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[1.0, 2.0], [2.0, 1.0]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["up", "down"]


def test_the_tangent_touches_the_curve_with_its_slope():
    x = torch.linspace(-2, 2, 41)
    figure = figures.activation(x, x**2, 2 * x, 0.5, "square")
    curve, slopes = figure.axes
    (left, right), (low, high) = curve.lines[3].get_data()
    assert (high - low) / (right - left) == pytest.approx(1.0)
    assert (high + low) / 2 == pytest.approx(0.25)
    assert curve.get_title(loc="left") == "square(0.5) = 0.25"
    assert slopes.get_title(loc="left") == "slope 1.00"


def test_what_was_learned_is_drawn_beside_what_is_asked():
    x, target, answer = [0.0, 1.0, 2.0], [0.0, 1.0, 4.0], [0.0, 1.0, 2.0]
    figure = figures.beyond_what_was_seen(x, target, {"learned": answer}, (0.0, 1.0))
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [target, answer]


def test_the_activation_that_the_model_was_trained_with_stands_out():
    figure = figures.losses_with_activation({"relu": 3.0, "silu": 2.0}, "silu")
    relu, silu = figure.axes[0].patches
    assert [relu.get_width(), silu.get_width()] == [3.0, 2.0]
    assert relu.get_facecolor() != silu.get_facecolor()


def test_every_seed_is_a_point_and_a_line_and_every_kind_has_its_mean():
    figure = figures.losses_by_seed({"a": [1.0, 3.0], "b": [2.0, 2.5]}, "loss", "")
    axes = figure.axes[0]
    assert [list(line.get_ydata()) for line in axes.lines] == [[1.0, 2.0], [3.0, 2.5]]
    assert [text.get_text() for text in axes.texts] == ["2.00", "2.25"]


def test_a_memory_shows_the_token_in_its_context_and_what_it_promotes():
    contexts = [("she ", " loved", " to run\nand"), ("", "They", " went")]
    figure = figures.memory(contexts, [2.5, 1.0], [" to", " the"], [0.5, 0.25], "Layer 0, neuron 1")
    text, bars = figure.axes
    written = [part.get_text() for part in text.texts]
    assert written[:4] == ["she ", " to run⏎and", "loved", "2.5"]
    assert text.get_title(loc="left") == "Layer 0, neuron 1"
    assert [bar.get_width() for bar in bars.patches] == [0.5, 0.25]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["␣to", "␣the"]


def test_every_neuron_is_counted_and_every_layer_compared():
    distinct = torch.tensor([[1, 2, 2], [3, 3, 3]])
    own, others = torch.tensor([0.5, 0.4]), torch.tensor([0.1, 0.2])
    left, right = figures.readable_neurons(distinct, 3, own, others).axes
    assert [bar.get_height() for bar in left.patches] == [1, 2, 3]
    assert [[round(y) for y in line.get_ydata()] for line in right.lines] == [[50, 40], [10, 20]]
