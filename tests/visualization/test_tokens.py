"""Figures about tokens show each token once, and the numbers that they are given."""

from itertools import pairwise

from gemini_workshop.visualization import tokens as figures


def test_every_token_has_its_box_and_a_long_text_is_wrapped_inside_the_page():
    tokens = [b" word"] * 40 + [b"\n", b"\xf0\x9f"]
    figure = figures.tokenized({"bytes": tokens, "one": [b"all"]}, "Title")
    names, boxes = [], []
    for text in figure.axes[0].texts:
        (boxes if text.get_bbox_patch() else names).append(text)
    assert [box.get_text() for box in boxes] == ["␣word"] * 40 + ["↵", "F0 9F", "all"]
    assert [name.get_text() for name in names] == ["bytes\n42 tokens", "one\n1 tokens"]
    assert len({box.get_position()[1] for box in boxes}) > 3
    left, right = figure.axes[0].get_xlim()
    assert all(left < box.get_position()[0] < right for box in boxes)


def test_what_the_font_cannot_draw_is_hexadecimal():
    assert figures.written("🙂".encode()) == "F0 9F 99 82"
    assert figures.written("é ".encode()) == "é␣"


def test_the_most_frequent_pairs_are_at_the_top():
    axes = figures.pair_counts({(97, 32): 3, (97, 98): 7}, "Title").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a + b", "a + ␣"]
    assert [bar.get_width() for bar in axes.patches] == [7, 3]


def test_lines_of_compression_are_named_and_their_names_do_not_overlap():
    axes = figures.compression([256, 512], {"a": [1.0, 2.0], "b": [1.0, 1.01], "c": [1.0, 1.0]}, "").axes[0]
    assert [list(line.get_ydata()) for line in axes.lines] == [[1.0, 2.0], [1.0, 1.01], [1.0, 1.0]]
    heights = sorted(text.xy[1] for text in axes.texts)
    assert min(b - a for a, b in pairwise(heights)) > 0.2


def test_two_rankings_name_the_lowest_of_each():
    left, right = figures.two_rankings({"x": 1.0, "y": 2.0}, {"x": 4.0, "y": 3.0}, "").axes
    assert left.get_title(loc="left") == "lowest: x"
    assert right.get_title(loc="left") == "lowest: y"


def test_costs_show_their_numbers_and_the_line():
    axes = figures.costs({"x": 1.0, "y": 9.0}, "bits", "Title", (8.0, "guess")).axes[0]
    assert {text.get_text() for text in axes.texts} == {"1.0", "9.0", "guess"}
    assert axes.lines[0].get_xdata()[0] == 8.0


def test_every_place_is_a_dot():
    axes = figures.space_costs([1.0, 2.0], [5.0, 9.0], "Title").axes[0]
    assert list(axes.lines[1].get_ydata()) == [5.0, 9.0]


def test_the_names_of_embeddings_do_not_overlap():
    figure = figures.embedding_norms([2.0, 2.0, 1.0], [0, 0, 500], {0: "first", 1: "second", 2: "third"}, "Title")
    heights = sorted(text.xy[1] for text in figure.axes[0].texts)
    assert min(b - a for a, b in pairwise(heights)) > 0.08
    assert {text.get_text() for text in figure.axes[0].texts} == {"first", "second", "third"}
