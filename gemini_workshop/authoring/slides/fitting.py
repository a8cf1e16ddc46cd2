"""A figure of a lesson, set for a slide: large enough to be read from the back row, without its title.

A figure keeps its own points. On the slide it is enlarged by ``ENLARGED``, so that ``SMALLEST`` points become 18.
"""

import io
import json
import re
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from gemini_workshop.visualization.showing import alt_text

READABLE_POINTS = 18.0  # the smallest text of a slide of 960 x 540 points
SMALLEST = 11.0  # the house style's own size, in the figure's points
ENLARGED = READABLE_POINTS / SMALLEST
WIDE = (864.0, 372.0)  # points of the slide that a figure is drawn for
ROOM = (896.0, 378.0)  # points that there are, for names that stand out on the right
LONGEST_TITLE = 32  # characters of a title that fits above one of two panels
SIZE = re.compile(r'(?:width|height)="([\d.]+)pt"')
ROUNDED = re.compile(r"(?<=\d\.\d{2})\d+")  # hundredths of a point are enough


def write_svg(figure: Figure, path: str) -> None:
    """Write a figure for a wide slide, and beside it its title, alternative text and size in points of the slide."""
    alt = alt_text(figure)
    title = fit(figure, WIDE)
    drawn = svg(figure)
    width, height = (float(number) for number in SIZE.findall(drawn)[:2])
    enlarged = min(ROOM[0] / width, ROOM[1] / height, ENLARGED)
    about = {"title": title, "alt": alt, "width": round(width * enlarged, 1), "height": round(height * enlarged, 1)}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(drawn, "utf-8")
    Path(path).with_suffix(".json").write_text(json.dumps(about), "utf-8")


def fit(figure: Figure, size: tuple[float, float]) -> str:
    """Take the figure's title away, give it the size, its texts the smallest one that is allowed; return the title.

    Diagrams, which have no axes, keep their proportions and are scaled as a whole.
    """
    title = _take_title(figure)
    width, height = (points / ENLARGED / 72 for points in size)
    smallest = SMALLEST
    if _is_diagram(figure):
        smallest *= max(figure.get_figwidth() / width, figure.get_figheight() / height)
    else:
        figure.set_size_inches(width, height)
    for text in figure.findobj(Text):
        is_power = "$" in text.get_text()  # of ten, at the ticks: its exponent is smaller than its size
        text.set_fontsize(max(text.get_fontsize(), smallest * (1.25 if is_power else 1.0)))
    _part_labels(figure)
    return title


def svg(figure: Figure) -> str:
    """A figure as SVG that is the same each time, with its texts as texts."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "slides", "svg.fonttype": "none"}):
        figure.savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight", pad_inches=0
        )
    return ROUNDED.sub("", buffer.getvalue())


def _part_labels(figure: Figure) -> None:
    """Move names at the ends of lines up where, in their new size, one would be written over another."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        labels = [
            text for text in axes.texts if isinstance(text, Annotation) and text.get_text() and not text.arrow_patch
        ]
        labels.sort(key=lambda text: text.get_window_extent().y0)
        for lower, upper in pairwise(labels):
            below, above = lower.get_window_extent(), upper.get_window_extent()
            if below.overlaps(above):
                x, y = upper.xyann
                upper.xyann = (x, y + (below.y1 - above.y0) * 72 / figure.dpi)


def _take_title(figure: Figure) -> str:
    """What the slide says in its own title: the only one, or the one that is too long for its panel.

    The titles of several panels stay with them, in the size of the other texts.
    """
    if figure.get_suptitle():
        title = figure.get_suptitle()
        figure.suptitle("")
        return " ".join(title.split())
    titled = [axes for axes in figure.axes if axes.get_title("left")]
    long = [axes for axes in titled if len(axes.get_title("left")) > LONGEST_TITLE]
    taken = titled if len(titled) == 1 else long
    if len(taken) == 1:
        title = taken[0].get_title("left")
        taken[0].set_title("", loc="left")
        return " ".join(title.split())
    for axes in titled:
        axes.set_title(axes.get_title("left"), loc="left", fontsize=SMALLEST)
    return ""


def _is_diagram(figure: Figure) -> bool:
    return not any(axes.axison for axes in figure.axes)
