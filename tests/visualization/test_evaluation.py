"""Figures of evaluations show their numbers."""

import matplotlib.pyplot as plt
import pytest

from gemini_workshop.evaluation.choice import ChoiceResult
from gemini_workshop.evaluation.needle import NeedleResult
from gemini_workshop.evaluation.profiles import Profile
from gemini_workshop.evaluation.scores import Evaluation, Score
from gemini_workshop.visualization.evaluation import (
    choice_bars,
    comparison_panels,
    needle_heat_map,
    pass_at_k_curves,
    score_bars,
)
from gemini_workshop.visualization.theme import use_theme


@pytest.fixture(autouse=True)
def _closed():
    use_theme()
    yield
    plt.close("all")


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_a_heat_map_has_lengths_to_the_right_and_depths_downwards():
    result = NeedleResult(
        lengths=(64, 1024), depths=(0.0, 0.5, 1.0), found=((0.1, 0.2), (0.3, 0.4), (0.5, 1.0)), trials=10, chance=0.1
    )
    axes, bar = needle_heat_map(result, "few").axes
    assert axes.images[0].get_array().tolist() == [[0.1, 0.2], [0.3, 0.4], [0.5, 1.0]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["64", "1,024"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0%", "50%", "100%"]
    assert texts(axes) == ["10%", "20%", "30%", "40%", "50%", "100%"]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["never found", "chance (10%)", "always found"]


def test_scores_are_bars_with_their_numbers():
    scores = [
        Score(name=n, nats_per_token=b, perplexity=b, bits_per_byte=b) for n, b in {"bigram": 2.0, "model": 1.5}.items()
    ]
    sizes = {"num_tokens": 5, "num_bytes": 9, "context_tokens": 4, "stride_tokens": 2}
    (axes,) = score_bars(Evaluation(checkpoint="runs/x", text="few", **sizes, scores=tuple(scores))).axes
    assert [bar.get_width() for bar in axes.patches] == [2.0, 1.5]
    assert texts(axes) == ["2.000", "1.500"]
    assert axes.get_title(loc="left") == "runs/x on few"


def test_choices_stand_beside_the_line_of_chance():
    accuracy = {"none": 0.25, "byte": 0.5}
    result = ChoiceResult(picks={}, accuracy=accuracy, chance=0.2, num_questions=40)
    (axes,) = choice_bars({"a": result, "b": result}).axes
    assert [bar.get_height() for bar in axes.patches] == [0.25, 0.5, 0.25, 0.5]
    assert list(axes.lines[0].get_ydata()) == [0.2, 0.2]
    assert "chance 20%" in texts(axes)


def test_pass_at_k_is_a_line_a_model():
    (axes,) = pass_at_k_curves({"a": {1: 0.1, 10: 0.4}, "b": {1: 0.2, 10: 0.3}}).axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[0.1, 0.4], [0.2, 0.3]]
    assert texts(axes) == ["a", "b"]


def test_models_are_compared_in_three_panels():
    profile = Profile(
        name="a", parameters=9, vocab_size=9, nats_per_token=2.0, bits_per_byte=1.25, samples=("x",),
        distinct=(0.5, 0.75, 1.0), self_bleu=None, written_tokens_per_second=1234.0,
    )  # fmt: skip
    panels = comparison_panels([profile, profile]).axes
    assert [texts(axes)[0] for axes in panels] == ["1.250", "0.75", "1,234"]
