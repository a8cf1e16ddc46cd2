"""docs/architecture.md and its picture agree with the layers that the tests enforce."""

import re

from matplotlib import image

from gemini_workshop.authoring.architecture import COLOURS, ENDS, LAYERS, ROAD, draw_architecture
from tests.clone import TOP

PAGE = (TOP / "docs" / "architecture.md").read_text("utf-8")
README = (TOP / "README.md").read_text("utf-8")


def test_the_table_of_layers_is_the_one_that_is_enforced():
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)
    shown = {int(height): re.findall(r"`(\w+)`", units) for height, units in rows}
    assert shown == {height: list(units) for height, units in enumerate(LAYERS, start=1)}


def test_every_path_on_the_page_exists():
    package = TOP / "gemini_workshop"
    for path in re.findall(r"`([a-z_]+(?:/[\w.]*)+|[a-z_]+\.py)`", PAGE):
        assert (package / path).exists() or (TOP / path).exists(), path


def test_the_road_is_told_in_the_order_in_which_it_is_drawn():
    told = re.findall(r"^\d\. \*\*(\w+)\.\*\*", PAGE, re.MULTILINE)
    assert [name.lower() for name in told] == [name for name, _, _ in ROAD]


def test_the_map_in_readme_lists_the_packages_highest_layer_first():
    units = re.findall(r"^    (\w+)/ ", README, re.MULTILINE)
    height = {unit: height for height, layer in enumerate(LAYERS) for unit in layer}
    heights = [height[unit] for unit in units if unit in height]
    assert len(heights) > 8
    assert heights == sorted(heights, reverse=True)


def test_the_picture_is_drawn_with_a_unit_for_every_colour(tmp_path):
    draw_architecture(tmp_path / "architecture.png")
    drawn = image.imread(tmp_path / "architecture.png")
    committed = image.imread(TOP / "docs" / "images" / "architecture.png")
    assert drawn.shape == committed.shape
    assert abs(drawn - committed).mean() < 0.01, "make architecture"  # fonts are drawn a little differently elsewhere
    units = {unit for layer in LAYERS for unit in layer}
    assert {unit for *_, unit in (*ROAD, *ENDS)} | COLOURS.keys() <= units
