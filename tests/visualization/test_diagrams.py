"""Diagrams are what their lists say: every box and letter is there, and nothing lies outside of the page."""

import pytest
from matplotlib.patches import FancyBboxPatch, Rectangle

from gemini_workshop.authoring.outputs import FIGURE_TOLERANCE, figure_distance
from gemini_workshop.visualization.course import road_map
from gemini_workshop.visualization.diagrams import Arrow, Box, Frame, Matrix, flow, matrices
from gemini_workshop.visualization.showing import alt_text, png
from gemini_workshop.visualization.theme import BLUE, HIDDEN, ORANGE, to_hex
from tests.clone import TOP

STACK = (Box(name="x", at=(0, 0)), Box(name="norm", at=(0, 1), note="over D"), Box(name="+", at=(0, 2), width=0.5))
UP = (Arrow(start="x", end="norm", label="T D"), Arrow(start="norm", end="+"))


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def outside(figure):
    """What reaches beyond the page."""
    figure.canvas.draw()
    page = figure.bbox.padded(2)
    drawn = [*figure.axes[0].texts, *figure.axes[0].patches, *figure.axes[0].lines]
    boxes = [(artist, artist.get_window_extent()) for artist in drawn]
    return [artist for artist, box in boxes if box.width and not (page.x0 <= box.x0 and box.x1 <= page.x1)]


def test_boxes_notes_and_shapes_are_written_and_told():
    figure = flow(STACK, UP, "A step")
    assert texts(figure) == ["T D", "x", "norm", "over D", "+"]
    assert alt_text(figure) == "A step. Arrows lead from x to norm (T D); norm to +."


@pytest.mark.parametrize(("bend", "ends"), [(0.3, [0.8, 1.1, 1.1]), (-0.3, [-0.8, -1.1, -1.1])])
def test_the_page_has_room_for_what_goes_around(bend, ends):
    figure = flow(STACK, [*UP, Arrow(start="x", end="+", bend=bend, label="the stream, as it is")], "A")
    assert outside(figure) == []
    (line,) = figure.axes[0].lines
    assert list(line.get_xdata()) == pytest.approx(ends)


def test_a_frame_is_drawn_around_and_told():
    figure = flow(STACK, UP, "A", frames=[Frame(name="a block", left=-1.0, bottom=0.5, right=1.0, top=2.4)])
    (frame,) = (patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle))
    assert frame.get_bbox().bounds == pytest.approx((-1, 0.5, 2, 1.9))
    assert alt_text(figure).endswith("Framed: a block.")


def test_matrices_have_as_many_cells_as_numbers_and_hide_what_a_mask_hides():
    query = Matrix(name="Q", rows=("T", 3), columns=("C", 2), color=BLUE, numbers=[[1, 0.5], [-2, 0], [0.25, 3]])
    scores = Matrix(name="scores", rows=("T", 3), columns=("S", 4), color=ORANGE, is_masked=True)
    figure = matrices([[query, "and", scores]], "Shapes")
    colors = [to_hex(patch.get_facecolor()) for patch in figure.axes[0].patches]
    assert colors.count(BLUE.lower()) == 3 * 2
    assert colors.count(HIDDEN) == 3
    assert colors.count(ORANGE.lower()) == 3 * 4 - 3
    letters = {"Q", "T", "C", "S", "scores", "and"}
    assert [text for text in texts(figure) if text not in letters] == ["1", "0.50", "−2", "0", "0.25", "3"]
    assert alt_text(figure) == "Shapes. Q (T by C) and scores (T by S)."
    assert outside(figure) == []


def test_the_road_map_names_every_lesson_that_builds_a_part_and_fits_the_page():
    figure = road_map()
    written = " ".join(texts(figure))
    assert [lesson for lesson in range(2, 14) if f"{lesson:02d}" not in written] == []
    assert outside(figure) == []
    assert len([patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]) == 2 * 18


def test_the_road_map_in_the_readme_is_this_one():
    stored = (TOP / "docs" / "images" / "road-map.png").read_bytes()
    assert figure_distance(stored, png(road_map())) < FIGURE_TOLERANCE, "python -m gemini_workshop.visualization.course"
