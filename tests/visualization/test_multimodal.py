"""Figures about fusion show the pixels and the weights that they are given."""

import pytest
import torch

from gemini_workshop.models.masks import multimodal_mask
from gemini_workshop.models.multimodal.patches import patchify
from gemini_workshop.visualization import multimodal as figures
from gemini_workshop.visualization.showing import alt_text


def test_each_patch_is_drawn_where_its_number_says():
    image = torch.arange(16.0).view(1, 4, 4) / 16
    figure = figures.cuts({"squares": patchify(image, 2)}, 2, "Title")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["0", "1", "2", "3"]
    assert torch.as_tensor(axes.images[1].get_array()).tolist() == image[0, :2, 2:].tolist()
    assert axes.images[1].get_extent()[0] > axes.images[0].get_extent()[0]


def test_media_and_text_meet_in_one_sequence():
    written = {text.get_text() for text in figures.one_stream().axes[0].texts}
    assert {"interleave", "one sequence of vectors", "multimodal_mask"} <= written


def test_weights_lie_over_their_image():
    images, weights = torch.rand(2, 1, 4, 4), torch.tensor([[[0.1, 0.2], [0.3, 0.4]]]).repeat(2, 1, 1)
    figure = figures.looked_at(images, weights, ["a 3", "a 4"], "Title")
    below = figure.axes[2]
    assert torch.as_tensor(below.images[1].get_array()).flatten().tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert figure.axes[1].get_title() == "a 4"
    assert "attention weight" in alt_text(figure)


def test_waves_are_drawn_over_milliseconds():
    figure = figures.waves({"a": torch.zeros(3), "b": torch.tensor([0.0, 0.5, -0.5])}, 1000, "Title")
    (line,) = figure.axes[1].lines
    assert [list(line.get_xdata()), list(line.get_ydata())] == [[0.0, 1.0, 2.0], [0.0, 0.5, -0.5]]


def test_what_comes_later_in_the_same_image_has_its_own_color():
    ids = torch.tensor([[0, 1, 1, 0]])
    figure = figures.mask(multimodal_mask(ids, 4)[0], ids[0], ["a", "#", "#", "b"], "Title")
    (axes,) = figure.axes
    assert axes.images[0].get_array().tolist() == [[1, 0, 0, 0], [1, 1, 2, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "# …", "b"]
