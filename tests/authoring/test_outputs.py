"""Outputs agree or not: the last bits of a processor do not count, another number or figure does."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from nbformat.v4 import new_output

from gemini_workshop.authoring.outputs import FIGURE_TOLERANCE, disagreements, figure_distance


def text(content, **fields):
    return new_output("stream", text=content, **fields)


def drawn(values, title="A title", size=(7.5, 3.8), move=0):
    figure, axes = plt.subplots(figsize=size)
    axes.plot(values)
    axes.set(title=title, xlabel="step", ylabel="loss")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=192)
    plt.close(figure)
    if not move:
        return file.getvalue()
    file.seek(0)
    moved, pixels = io.BytesIO(), np.roll(plt.imread(file, format="png"), (move, move), axis=(0, 1))
    plt.imsave(moved, pixels, format="png")
    return moved.getvalue()


def shown(png):
    return new_output("display_data", data={"image/png": base64.b64encode(png).decode(), "text/plain": "<Figure>"})


CURVE = np.linspace(8, 1, 60)


@pytest.mark.parametrize(
    ("stored", "now", "rounded", "agree"),
    [
        ("loss 0.52\n", "loss 0.52\n", False, True),
        ("loss 0.52\n", "loss 0.53\n", False, False),
        ("loss 0.52\n", "loss 0.53\n", True, True),
        ("loss 0.52\n", "loss 0.54\n", True, False),
        ("loss 0.52\n", "loss 0.520\n", True, False),
        ("cost 0.52\n", "loss 0.52\n", True, False),
        ("3,152,000 of 8\n", "3,152,001 of 8\n", True, True),
        ("-0.01\n", "+0.01\n", True, False),
        ("a\nb\n", "a\n", True, False),
    ],
)
def test_texts_agree_exactly_or_to_one_in_the_last_digit_where_a_cell_says_so(stored, now, rounded, agree):
    assert (disagreements([text(stored)], [text(now)], rounded=rounded) == []) == agree


def test_a_disagreement_shows_both_lines():
    assert disagreements([text("a\nold\n")], [text("a\nnew\n")]) == ["  - old", "  + new"]


def test_text_printed_in_pieces_is_the_same_text():
    assert disagreements([text("one\ntwo\n")], [text("one\n"), text("two\n")]) == []


def test_a_kind_of_output_more_or_less_is_found():
    assert disagreements([shown(drawn(CURVE))], []) == ["  - [image/png]", "  - [text/plain]", "  - <Figure>"]


@pytest.mark.parametrize(
    ("other", "agree"),
    [
        (lambda: drawn(CURVE * 1.01), True),
        (lambda: drawn(CURVE, move=6), True),
        (lambda: drawn(CURVE, size=(7.6, 3.8)), True),
        (lambda: drawn(CURVE[::-1]), False),
        (lambda: drawn(CURVE, title="Quite another finding is claimed here"), False),
        (lambda: drawn(CURVE, size=(7.5, 5)), False),
    ],
)
def test_a_figure_may_move_by_pixels_and_not_be_another(other, agree):
    found = disagreements([shown(drawn(CURVE))], [shown(other())])
    assert (found == []) == agree, found


def test_distances_are_zero_for_equal_figures_and_symmetric_enough():
    a, b = drawn(CURVE), drawn(CURVE[::-1])
    assert figure_distance(a, a) == 0
    assert min(figure_distance(a, b), figure_distance(b, a)) > FIGURE_TOLERANCE
