import pytest

from gemini_workshop.visualization.training import finding, loss_curve

FLOORS = {"uniform": 6.9, "unigram": 5.5, "bigram": 3.25}


def test_the_figure_names_axes_units_floors_and_finding(tmp_path):
    """In SVG with text kept as text, so that the words can be read back."""
    import matplotlib

    entries = [{"step": 1, "loss_nats": 7.0}, {"step": 2, "loss_nats": 2.5, "validation_nats": 2.75}]
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        loss_curve(entries, FLOORS).savefig(tmp_path / "loss.svg")
    text = (tmp_path / "loss.svg").read_text("utf-8")
    for words in (
        "optimizer step (log scale)",
        "loss (nats per token)",
        "uniform 6.90",
        "unigram 5.50",
        "bigram 3.25",
        "training",
        "validation 2.75",
        "The model is 0.50 nats per token below the bigram floor",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("nats", "words"),
    [
        (8.0, "The validation loss is 8.00 nats per token"),
        (6.0, "The model is 0.90 nats per token below the uniform floor"),
        (3.0, "The model is 0.25 nats per token below the bigram floor"),
    ],
)
def test_the_finding_is_the_lowest_floor_passed(nats, words):
    assert finding(nats, FLOORS) == words
