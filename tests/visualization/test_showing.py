"""A figure on a page: what is said in place of it, and how many bytes it takes."""

import io

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from gemini_workshop.visualization.showing import alt_text, describe, png, shown_size


def lines(names=("RNN", "LSTM\nof 1997", "0.93")):
    figure, axes = plt.subplots(figsize=(4, 3))
    axes.set(title="The wall", xlabel="delay", ylabel="recalled")
    for i, name in enumerate(names):
        axes.annotate(name, (0, i / 10))
    return figure


def test_without_a_description_titles_axes_and_names_are_read_out_and_numbers_are_not():
    assert alt_text(lines()) == "The wall: recalled over delay. Named in it: RNN, LSTM of 1997."


def test_a_description_takes_the_place_of_the_names():
    assert alt_text(describe(lines(), "Both   fall.\n")) == "The wall: recalled over delay. Both fall."


def test_a_table_of_names_is_not_read_out():
    assert alt_text(lines([f"name {i}" for i in range(9)])) == "The wall: recalled over delay."


def test_every_panel_and_the_title_of_the_whole_are_read_out():
    figure, (left, right) = plt.subplots(1, 2)
    figure.suptitle("Both")
    left.set(title="One", xlabel="x")
    right.set(title="Two", ylabel="y")
    assert alt_text(figure) == "Both. One: x. Two: y."


def test_a_file_has_two_pixels_for_each_that_is_shown_and_few_colors():
    figure = lines()
    file = png(figure)
    assert shown_size(file) == {"width": 4 * 96, "height": 3 * 96}
    image = Image.open(io.BytesIO(file))
    assert image.size == (8 * 96, 6 * 96)
    assert image.mode == "P"


def test_few_colors_are_enough_for_a_map():
    figure, axes = plt.subplots(figsize=(4, 3))
    axes.imshow(np.arange(4000).reshape(50, 80))
    axes.set(title="A map of every color")
    whole = io.BytesIO()
    figure.savefig(whole, dpi=192)
    shown, exact = (np.asarray(Image.open(file).convert("RGB"), dtype=int) for file in (io.BytesIO(png(figure)), whole))
    assert np.abs(shown - exact).mean() < 2
    assert np.quantile(np.abs(shown - exact), 0.99) < 24
    assert len(png(figure)) < 0.6 * len(whole.getvalue())
