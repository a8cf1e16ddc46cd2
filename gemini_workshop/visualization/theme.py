"""The house style of every figure: readable at half size, by colour-blind people and on a projector.

The finding is the title, axes carry units, lines are labelled directly where there is room.
"""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

# Okabe and Ito's palette: distinct for every common kind of colour vision.
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
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
HEAT = "viridis"


def use_theme() -> None:
    """Set the style for all figures that follow."""
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
            "axes.prop_cycle": plt.cycler(color=COLOURS),
            "lines.linewidth": 2.2,
            "lines.markersize": 6,
            "legend.frameon": False,
            "image.cmap": HEAT,
            "savefig.facecolor": "white",
        }
    )


def label_line(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    """Write a line's name beside its end, in its colour, instead of a legend."""
    axes.annotate(text, (x, y), xytext=(6, 0), textcoords="offset points", color=colour, va="center")
