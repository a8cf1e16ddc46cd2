"""Figures show the numbers that they are given."""

import torch

from gemini_workshop.models.attention import scaled_dot_product_attention
from gemini_workshop.visualization import attention as figures


def test_an_attention_map_draws_the_weights_and_names_every_token():
    weights = torch.rand(3, 4)
    figure = figures.attention_map(weights, ["a", " b", "c\n", "d"], "Title")
    axes = figure.axes[0]
    assert torch.equal(torch.as_tensor(axes.images[0].get_array()), weights)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "␣b", "c⏎", "d"]
    assert axes.get_title(loc="left") == "Title"
    assert axes.get_xlabel()
    assert axes.get_ylabel()


def test_a_soft_lookup_says_its_answer():
    shares, values = torch.tensor([0.25, 0.75]), torch.tensor([10.0, 20.0])
    figure = figures.soft_lookup(torch.tensor([0.0, 1.0]), torch.eye(2), values, shares)
    assert figure.axes[1].get_title(loc="left") == "The answer is 17.5"
    assert [bar.get_width() for bar in figure.axes[1].patches] == [0.25, 0.75]


def test_spread_and_gradient_are_drawn_once_for_each_way_of_scaling():
    lines = {"as they are": [2.0, 4.0, 8.0], "scaled": [1.0, 1.0, 1.0]}
    figure = figures.score_spread([4, 16, 64], lines, lines)
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == list(lines.values())


def test_the_gradient_at_queries_is_a_line_of_medians_in_a_band():
    sizes = {"as they are": [(0.5, 1.0, 2.0), (1e-9, 0.1, 4.0)], "scaled": [(0.5, 1.0, 2.0), (0.5, 1.0, 2.0)]}
    axes = figures.gradient_at_queries([4, 16], sizes, "Title").axes[0]
    assert [list(line.get_ydata()) for line in axes.lines] == [[1.0, 0.1], [1.0, 1.0]]
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (figures.LOWEST, 4.0)


def test_worked_attention_shows_the_numbers_of_attention():
    query, key, value = (
        2**0.5 * torch.eye(2),
        torch.tensor([[1.0, 1.0], [3.0, 1.0]]).log(),
        torch.tensor([[4.0], [8.0]]),
    )
    expected = scaled_dot_product_attention(query, key, value)
    written = [text.get_text() for text in figures.worked_attention(query, key, value).axes[0].texts]
    assert [f"{number:g}" for number in expected.flatten().tolist()] == ["7", "6"]
    assert written[-5:-3] == ["7", "6"]
    assert {"0.25", "0.75", "0.50", "1.10"} <= set(written)


def test_worked_attention_leaves_out_what_a_mask_hides():
    query, value = torch.eye(2), torch.tensor([[4.0], [8.0]])
    mask = torch.ones(2, 2, dtype=torch.bool).tril()
    written = [
        text.get_text() for text in figures.worked_attention(query, torch.zeros(2, 2), value, mask).axes[0].texts
    ]
    assert written[-5:-3] == ["4", "6"]
    assert written.count("1") == 2 + 2, "the queries', and the first token's whole weight in both lines"


def test_the_shapes_of_attention_have_one_letter_per_axis():
    written = [text.get_text() for text in figures.attention_shapes("Shapes").axes[0].texts]
    assert {"T", "S", "C", "Cv"} <= set(written)
    assert written.count("T") == 5


def test_influence_marks_exactly_what_moved():
    has_moved = torch.ones(4, 4, dtype=torch.bool).tril()
    figure = figures.influence(has_moved, "")
    assert len(figure.axes[0].texts) == int(has_moved.sum())


def test_head_costs_names_the_heads_asked_for():
    figure = figures.head_costs(torch.rand(2, 3), torch.rand(2, 3), [(1, 2), (0, 0)], "Title")
    assert [text.get_text() for text in figure.axes[0].texts] == ["layer 1, head 2", "layer 0, head 0"]


def test_scores_and_probabilities_are_side_by_side():
    scores, shares = torch.tensor([2.0, -1.0]), torch.tensor([0.9, 0.1])
    figure = figures.scores_and_probabilities(scores, shares, ["x", "y"], "")
    widths = [[bar.get_width() for bar in axes.patches] for axes in figure.axes]
    assert widths == [scores.tolist(), shares.tolist()]


def test_leakage_draws_a_bar_for_every_way():
    leaked = {"a": 0.5, "b": 0.0}
    figure = figures.leakage(leaked)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.5, 0.0]
