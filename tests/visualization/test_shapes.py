"""Diagrams of shapes name the sizes that they are given, each where it belongs."""

from gemini_workshop.visualization import shapes as figures
from gemini_workshop.visualization.showing import alt_text


def written(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_both_layers_lead_through_their_own_neurons():
    figure = figures.feed_forward_shapes(6, 24, 16)
    assert {"6 × 24", "24 × 6", "6 × 16", "16 × 6"} <= set(written(figure))
    assert written(figure).count("24") == 2
    assert written(figure).count("16") == 3


def test_a_block_adds_twice_to_a_stream_of_one_shape():
    figure = figures.block_shapes(5, 12, 3, 32)
    assert written(figure).count("5 × 12") == 7
    assert written(figure).count("as it is") == 2
    assert {"3 heads of 4", "32 units, gated"} <= set(written(figure))


def test_a_model_has_its_table_at_both_ends():
    figure = figures.model_shapes(99, 5, 12, 4)
    assert {"99 × 12", "12 × 99, tied", "5 × 99", "5 ids", "4, one after another"} <= set(written(figure))
    assert "embedding to head (same table)" in alt_text(figure)
