"""Figures about decoding show the numbers that they are given."""

import pytest
import torch

from gemini_workshop.visualization import generation as figures


def test_distributions_are_one_panel_for_each_setting():
    settings = {"T = 1": torch.tensor([0.6, 0.4]), "T = 2": torch.tensor([0.5, 0.3])}
    panels = figures.distributions(settings, [" a", "b"], "Title").axes
    assert [axes.get_title("left") for axes in panels] == list(settings)
    for axes, values in zip(panels, settings.values(), strict=True):
        assert [bar.get_width() for bar in axes.patches] == pytest.approx(values.tolist())
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["␣a", "b"]


def test_what_is_kept_is_a_point_for_each_place():
    kept = {"top-k, 40": torch.tensor([40, 40]), "top-p, 0.9": torch.tensor([1, 300])}
    axes = figures.kept_by_entropy(torch.tensor([0.5, 5.0]), kept, "Title").axes[0]
    assert [points.get_offsets()[:, 1].tolist() for points in axes.collections] == [[40, 40], [1, 300]]
    assert [(text.get_text(), text.xy[0]) for text in axes.texts] == [("top-k, 40", 5.0), ("top-p, 0.9", 5.0)]


def test_surprise_is_a_bar_for_each_token():
    panels = figures.surprise({"stories": torch.tensor([5.0, 1.0]), "beams": torch.tensor([0.5, 0.2])}, "Title").axes
    heights = [[bar.get_height() for bar in axes.patches] for axes in panels]
    assert heights == [pytest.approx([5.0, 1.0]), pytest.approx([0.5, 0.2])]


def test_every_seed_is_a_point_and_the_stories_stand_out():
    points = {"stories": [(2.0, 0.9), (2.2, 0.8)], "top-p, 0.9": [(2.1, 0.7), (2.0, 0.6)]}
    axes = figures.dull_and_wild(points, "Title").axes[0]
    found = [[tuple(point) for point in each.get_offsets().tolist()] for each in axes.collections]
    assert found == list(points.values())
    assert [text.get_weight() for text in axes.texts] == ["bold", "normal"]


def test_tokens_read_begin_at_the_first_new_token():
    axes = figures.tokens_read({"without": [5, 11, 18], "with": [5, 6, 7]}, "Title").axes[0]
    assert [list(line.get_xdata()) for line in axes.lines] == [[1, 2, 3]] * 2
    assert [list(line.get_ydata()) for line in axes.lines] == [[5, 11, 18], [5, 6, 7]]


def test_the_balance_is_a_level_and_names_do_not_overlap():
    lines = {"one": [1.0, 100.0], "other": [1.0, 101.0]}
    axes = figures.intensity([1, 100], lines, (50.0, "balance"), "Title").axes[0]
    level, *others = axes.lines
    assert list(level.get_ydata()) == [50.0, 50.0]
    assert [list(line.get_ydata()) for line in others] == list(lines.values())
    lower, upper = sorted(text.xy[1] for text in axes.texts if text.get_text() in lines)
    assert upper > 2 * lower


def test_each_token_has_a_bar_of_the_model_and_of_every_rule():
    axes = figures.against_the_model([0.7, 0.3], {"yours": [0.6, 0.4]}, [" a", "others"], "Title").axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.7, 0.3, 0.6, 0.4]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["␣a", "others"]


def test_the_explorer_shows_both_distributions_and_all_texts():
    before, after = torch.tensor([0.5, 0.25]), torch.tensor([1.0, 0.0])
    axes, page = figures.sampling_explorer(before, after, ["a", "b"], ["one text", "another"], "Title").axes
    assert [bar.get_width() for bar in axes.patches] == [0.5, 0.25, 1.0, 0.0]
    assert [text.get_text() for text in page.texts] == ["one text", "another"]
