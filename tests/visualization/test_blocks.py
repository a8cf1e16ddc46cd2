"""Figures about the residual stream show the numbers that they are given."""

import matplotlib.pyplot as plt
import pytest

from gemini_workshop.visualization import blocks as figures
from gemini_workshop.visualization.theme import use_theme


@pytest.fixture(autouse=True)
def closed_figures():
    use_theme()
    yield
    plt.close("all")


def test_a_stream_is_drawn_as_far_as_it_is_a_number():
    figure = figures.stream_sizes({"fades": [1.0, 1e-5, 0.0, 0.0], "explodes": [1.0, 9.0, float("inf")]}, "Title")
    axes = figure.axes[0]
    assert [list(line.get_ydata()) for line in axes.lines] == [[1.0, 1e-5], [1.0, 9.0]]
    assert {text.get_text() for text in axes.texts} == {"fades", "explodes"}


def test_gradients_are_one_line_a_seed():
    norms = {"post": [[4.0, 2.0, 1.0], [5.0, 2.0, 1.0]], "pre": [[1.0, 1.0, 1.0]]}
    lines = figures.gradient_by_block(norms, "").axes[0].lines
    assert [list(line.get_ydata()) for line in lines] == [norm for seeds in norms.values() for norm in seeds]


def test_losses_mark_the_level():
    axes = figures.losses({"a": [3.0, 1.0], "b": [3.0, 2.0]}, "", (0.5, "goal")).axes[0]
    assert [list(line.get_ydata()) for line in axes.lines[:2]] == [[3.0, 1.0], [3.0, 2.0]]
    assert "goal" in {text.get_text() for text in axes.texts}


def test_the_lens_begins_at_the_bottom_and_shows_spaces():
    axes = figures.logit_lens([["a", " b"], ["c", "d"]], [[0.1, 0.9], [0.2, 0.3]], ["x", " y"], "").axes[0]
    assert [text.get_text() for text in axes.texts] == ["a", "␣b", "c", "d"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["embedding", "block 1"]
    bottom, top = axes.get_ylim()
    assert bottom < top


def test_the_shares_of_the_parameters_add_up():
    parts = {"small": {"embedding": 75, "blocks": 25}, "large": {"embedding": 10, "blocks": 90}}
    axes = figures.where_the_parameters_are(parts, "").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [75, 10, 25, 90]
    assert {text.get_text() for text in axes.texts} == {"75 %", "25 %", "10 %", "90 %"}
