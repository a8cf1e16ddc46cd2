"""Figures about the residual stream show the numbers that they are given."""

from itertools import pairwise

from gemini_workshop.visualization import blocks as figures


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


def test_the_percentages_of_the_parameters_add_up():
    parts = {"small": {"embedding": 75, "blocks": 25}, "large": {"embedding": 10, "blocks": 90}}
    axes = figures.where_the_parameters_are(parts, "").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [75, 10, 25, 90]
    assert {text.get_text() for text in axes.texts} == {"75 %", "25 %", "10 %", "90 %"}


SEEDS = {"pre": [[8.0, 4.0, 1.0], [8.0, 5.0, 2.0]], "post": [[8.0, 5.0, 4.3], [8.0, 4.5, 4.2]]}


def test_seeds_are_thin_lines_around_their_mean():
    axes = figures.losses_of_seeds(SEEDS, "Title", (4.0, "counts only")).axes[0]
    by_width = {width: [line for line in axes.lines if line.get_linewidth() == width] for width in (0.8, 2.2)}
    assert [len(lines) for lines in by_width.values()] == [4, 2]
    assert list(by_width[2.2][0].get_ydata()) == [8.0, 4.5, 1.5]
    assert [text.get_text() for text in axes.texts] == ["pre", "post", "counts only"]


def test_names_of_lines_that_end_together_do_not_overlap():
    together = {"post": [[0.0, 0.9]], "post, leveled": [[0.0, 0.9]], "pre": [[0.0, 0.5]]}
    axes = figures.similarity_by_block(together, "Title").axes[0]
    heights = sorted(text.xy[1] for text in axes.texts)
    assert min(b - a for a, b in pairwise(heights)) > 0.06
