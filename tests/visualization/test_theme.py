"""Colors: labels can be read, and every use of the palette is judged by the same numbers."""

import itertools

import matplotlib.pyplot as plt
import pytest

from gemini_workshop.visualization.theme import (
    BLACK,
    COLORS,
    GREY,
    HIDDEN,
    ORANGE,
    READABLE,
    contrast,
    ink,
    label_line,
    text_on,
)
from tests.visualization.conftest import pale_texts

PALETTE = (*COLORS, BLACK, GREY)


def test_contrast_is_that_of_the_guideline():
    assert contrast("black", "white") == pytest.approx(21)
    assert contrast("#777777") == pytest.approx(4.48, abs=0.005)  # the best known grey that just fails
    assert contrast("#767676") == pytest.approx(4.54, abs=0.005)
    assert contrast("red", "red") == 1


@pytest.mark.parametrize("color", PALETTE)
def test_a_label_in_the_ink_of_any_color_can_be_read_on_white(color):
    assert contrast(ink(color)) >= READABLE
    assert contrast(ink(color)) < READABLE + 0.5 or ink(color) == color.lower()


def test_inks_are_as_many_as_colors():
    assert len({ink(color) for color in PALETTE}) == len(PALETTE)


@pytest.mark.parametrize("color", [*PALETTE, HIDDEN])
def test_text_can_be_read_on_every_color_of_the_palette(color):
    assert contrast(text_on(color), color) >= READABLE


def test_lines_can_be_told_apart_from_the_page():
    assert all(contrast(color) > 2 for color in COLORS)
    assert all(a != b for a, b in itertools.combinations(COLORS, 2))


def test_a_line_is_named_in_ink_and_a_pale_label_is_found():
    figure, axes = plt.subplots()
    axes.set(title="A line with its name", xlabel="x", ylabel="y")
    label_line(axes, 0.0, 0.0, "named", ORANGE)
    assert pale_texts(figure) == []
    pale = axes.text(0, 0, "pale", color=ORANGE)
    assert pale_texts(figure) == ["pale"]
    pale.remove()
