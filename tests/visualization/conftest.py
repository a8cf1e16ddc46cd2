"""Every figure that these tests draw is looked at once more: can its text be read, can it be described?"""

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text

from gemini_workshop.visualization import theme
from gemini_workshop.visualization.showing import alt_text

TOO_PALE = {color.lower() for color in (*theme.COLORS, theme.GREY) if theme.contrast(color) < theme.READABLE}


def pale_texts(figure):
    """The texts of a figure that are written in a color of lines and areas, which is too pale on white."""
    texts = (text for text in figure.findobj(Text) if text.get_text() and text.get_visible())
    return [text.get_text() for text in texts if theme.to_hex(text.get_color()) in TOO_PALE]


@pytest.fixture(autouse=True)
def readable_figures(monkeypatch):
    """Keep every figure that a test makes, and judge it at the end of the test."""
    made, new_figure = [], plt.figure

    def figure(*args, **kwargs):
        made.append(new_figure(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(plt, "figure", figure)
    with plt.rc_context():
        theme.use_theme()
        yield
    for one in made:
        assert pale_texts(one) == []
        assert alt_text(one)
    plt.close("all")
