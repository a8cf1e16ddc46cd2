"""A widget draws anew when it is moved, and leaves a picture where it cannot live."""

import base64

import ipywidgets
import matplotlib.pyplot as plt
import pytest

from gemini_workshop.visualization import widgets


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr(
        widgets, "display", lambda bundle, raw, metadata: bundles.append(bundle | {"metadata": metadata})
    )
    return bundles


def test_the_static_picture_is_the_first_one_drawn(shown):
    drawn = []

    def draw(height):
        drawn.append(height)
        figure, axes = plt.subplots()
        axes.plot([0, height])
        axes.set(xlabel=f"height {height}")
        return figure

    slider = ipywidgets.IntSlider(value=3, max=9)
    widgets.explore(draw, height=slider)
    picture = base64.b64decode(shown[0]["image/png"])
    assert picture.startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in shown[0]
    assert shown[0]["metadata"]["image/png"]["alt"] == "height 3."
    assert shown[0]["text/plain"] == "height 3. Run the cell to change height."
    slider.value = 7
    assert drawn == [3, 7]
    assert slider.description == "height"
    assert plt.get_fignums() == []


def test_moving_a_slider_changes_the_picture(shown):
    def draw(height):
        figure, axes = plt.subplots()
        axes.plot([0, height, 0])
        axes.set(ylim=(0, 10), title=f"up to {height}")
        return figure

    slider = ipywidgets.IntSlider(value=3, max=9)
    images = []
    original = ipywidgets.Image

    class Recorded(original):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            images.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ipywidgets, "Image", Recorded)
        widgets.explore(draw, height=slider)
    before = images[0].value
    slider.value = 8
    assert images[0].value != before
    assert images[0].tooltip == "up to 8."


def test_a_wider_picture_is_shown_wider(monkeypatch, shown):
    images, new_image = [], ipywidgets.Image

    def keep(**values):
        images.append(new_image(**values))
        return images[-1]

    monkeypatch.setattr(widgets.ipywidgets, "Image", keep)

    def draw(inches):
        figure, axes = plt.subplots(figsize=(inches, 2))
        axes.set(xlabel="inches")
        return figure

    slider = ipywidgets.IntSlider(value=3, max=9)
    widgets.explore(draw, inches=slider)
    before = int(images[0].layout.width.removesuffix("px"))
    slider.value = 6
    assert int(images[0].layout.width.removesuffix("px")) == pytest.approx(2 * before, abs=2)
