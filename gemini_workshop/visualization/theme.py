"""The house style of every figure: readable at half size, by color-blind people and on a projector.

The finding is the title, axes carry units, lines are labelled directly where there is room.
"""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb

from gemini_workshop.visualization.showing import show_in_notebooks

# Okabe and Ito's palette: distinct for every common kind of color vision.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#222222",
    "#8c8c8c",
)
COLORS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
HEAT = "viridis"
SIGNED = "RdBu_r"  # red is positive, blue negative, white zero: in every map of signed numbers
HIDDEN = "#d9d9d9"  # what a mask hides, on a map where dark means a weight of zero
READABLE = 4.5  # the contrast that WCAG 2.2 asks of text (AA)


def use_theme() -> None:
    """Set the style for all figures that follow, and show them in notebooks with an alternative text."""
    plt.rcParams.update(
        {
            "figure.figsize": (7.5, 3.8),
            "figure.dpi": 96,
            "figure.constrained_layout.use": True,
            "font.family": "DejaVu Sans",
            "font.size": 11,
            "axes.titlesize": 13,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": False,
            "axes.prop_cycle": plt.cycler(color=COLORS),
            "lines.linewidth": 2.2,
            "lines.markersize": 6,
            "legend.frameon": False,
            "image.cmap": HEAT,
            "savefig.facecolor": "white",
        }
    )
    show_in_notebooks()


def contrast(color: str, other: str = "white") -> float:
    """How well two colors can be told apart: from 1, equal, to 21, black on white (WCAG 2.2, relative luminance)."""
    darker, lighter = sorted((_luminance(color), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ink(color: str) -> str:
    """The same hue, dark enough for text on white. Lines and areas keep the color itself.

    >>> ink(BLUE) == BLUE.lower(), contrast(ORANGE) < READABLE < contrast(ink(ORANGE))
    (True, True)
    """
    color = to_hex(color)
    while contrast(color) < READABLE:
        red, green, blue = to_rgb(color)
        color = to_hex((0.96 * red, 0.96 * green, 0.96 * blue))
    return color


def text_on(background: str) -> str:
    """Black or white, whichever can be read on this color."""
    return max(("black", "white"), key=lambda color: contrast(color, background))


def label_line(axes: Axes, x: float, y: float, text: str, color: str) -> None:
    """Write a line's name beside its end, in the ink of its color, instead of a legend."""
    axes.annotate(text, (x, y), xytext=(6, 0), textcoords="offset points", color=ink(color), va="center")


def spread_labels(heights: Sequence[float], apart: float) -> list[float]:
    """The heights, with those that are too close moved up, so that labels do not overlap."""
    placed = dict.fromkeys(range(len(heights)), 0.0)
    lowest = -math.inf
    for i in sorted(placed, key=lambda i: heights[i]):
        placed[i] = lowest = max(heights[i], lowest + apart)
    return list(placed.values())
