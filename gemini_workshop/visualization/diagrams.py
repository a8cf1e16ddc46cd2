"""Diagrams: boxes with arrows between them, and matrices drawn to scale with the letters of their shapes.

Both are drawn in units of the page: columns and rows, so that a diagram is a list of what it holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from gemini_workshop.visualization.showing import describe
from gemini_workshop.visualization.theme import BLACK, GREY, HIDDEN, ink, text_on

Number = int | float
PALE = 0.16  # of a color, for the inside of what is framed by it
HALF = 0.3  # of a row: half of a box's height
BESIDE, ABOVE = 0.5, 0.75  # inches that a matrix keeps free for its name and its letters


@dataclass(frozen=True, kw_only=True)
class Box:
    """One part of a diagram.

    Args:
        name: what it is called, and what other parts refer to it by.
        at: its center, (column, row); rows count upwards, as data flows.
        note: a second, smaller line.
        color: its frame; a part that is filled stands out from the others.
    """

    name: str
    at: tuple[Number, Number]
    note: str = ""
    color: str = GREY
    width: Number = 1.6
    is_filled: bool = False


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """What flows from one box to another, and its shape.

    Args:
        bend: how many columns it goes around what lies between, to the right or, if negative, to the left; 0 is
            straight.
    """

    start: str
    end: str
    label: str = ""
    bend: Number = 0


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A broken line around boxes that belong together, with a name in its upper right corner."""

    name: str
    left: Number
    bottom: Number
    right: Number
    top: Number


def flow(
    boxes: Sequence[Box],
    arrows: Sequence[Arrow],
    title: str,
    *,
    frames: Sequence[Frame] = (),
    column: float = 1.15,
    row: float = 0.72,
) -> Figure:
    """Boxes and arrows.

    Args:
        column: inches for one column; ``row`` is the same for rows.
    """
    by_name = {box.name: box for box in boxes}
    left, right = _reach(by_name, arrows, frames)
    bottom, top = min(box.at[1] for box in boxes) - 0.45, max(box.at[1] for box in boxes) + 0.45
    figure, axes = plt.subplots(figsize=(column * (right - left), row * (top - bottom) + 0.4))
    for frame in frames:
        _draw_frame(axes, frame)
    for arrow in arrows:
        _draw_arrow(axes, by_name[arrow.start], by_name[arrow.end], arrow)
    for box in boxes:
        _draw_box(axes, box)
    axes.set(xlim=(left, right), ylim=(bottom, top), title=title)
    axes.axis("off")
    return describe(figure, _in_words(arrows, frames))


def _reach(boxes: Mapping[str, Box], arrows: Sequence[Arrow], frames: Sequence[Frame]) -> tuple[float, float]:
    """The first and the last column that anything reaches, labels included."""
    ends = [(box.at[0] - box.width / 2, box.at[0] + box.width / 2) for box in boxes.values()]
    ends += [(frame.left, frame.right) for frame in frames]
    for arrow in arrows:
        x = _corner(boxes[arrow.start], boxes[arrow.end], arrow.bend)
        label = 0.085 * len(arrow.label) + 0.05
        ends.append((x - label if arrow.bend < 0 else x, x if arrow.bend < 0 else x + label))
    return min(left for left, _ in ends) - 0.1, max(right for _, right in ends) + 0.1


def _draw_frame(axes: Axes, frame: Frame) -> None:
    size = (frame.right - frame.left, frame.top - frame.bottom)
    style: dict[str, Any] = {
        "fill": False,
        "edgecolor": ink(GREY),
        "linewidth": 1.2,
        "linestyle": (0, (4, 3)),
        "zorder": 0,
    }
    axes.add_patch(Rectangle((frame.left, frame.bottom), *size, **style))
    at = (frame.right, frame.top)
    place: dict[str, Any] = {"xytext": (-5, -5), "textcoords": "offset points", "ha": "right", "va": "top"}
    axes.annotate(frame.name, at, size=9, color=ink(GREY), **place)


def _draw_box(axes: Axes, box: Box) -> None:
    x, y = box.at
    corner = (x - box.width / 2, y - HALF)
    style: dict[str, Any] = {
        "boxstyle": "round,pad=0,rounding_size=0.09",
        "edgecolor": box.color,
        "linewidth": 1.8,
        "zorder": 2,
    }
    axes.add_patch(FancyBboxPatch(corner, box.width, 2 * HALF, facecolor="white", **style))
    alpha = 1.0 if box.is_filled else PALE
    axes.add_patch(FancyBboxPatch(corner, box.width, 2 * HALF, facecolor=box.color, alpha=alpha, **style))
    color = text_on(box.color) if box.is_filled else BLACK
    lift = 0.11 if box.note else 0.0
    axes.text(x, y + lift, box.name, ha="center", va="center", size=10, weight="bold", color=color, zorder=3)
    if box.note:
        axes.text(x, y - 0.15, box.note, ha="center", va="center", size=8, color=color, zorder=3)


def _draw_arrow(axes: Axes, start: Box, end: Box, arrow: Arrow) -> None:
    """From the side of one box to the nearest side of another; a bent one leaves and arrives at the same side."""
    head, tail = _sides(start, end)
    corner = tail
    if arrow.bend:
        side = 0.5 if arrow.bend > 0 else -0.5
        tail = (start.at[0] + side * start.width, start.at[1] + HALF / 2.5)
        head = (end.at[0] + side * end.width, end.at[1] - HALF / 2.5)
        corner = (_corner(start, end, arrow.bend), head[1])
        way = ([tail[0], corner[0], corner[0]], [tail[1], tail[1], head[1]])
        axes.plot(*way, color=ink(GREY), linewidth=1.5, zorder=1)
    style: dict[str, Any] = {"arrowstyle": "-|>", "color": ink(GREY), "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", head, corner, arrowprops=style)
    middle = (corner[0] if arrow.bend else (tail[0] + head[0]) / 2, (tail[1] + head[1]) / 2)
    place: dict[str, Any] = {"xytext": (-4, 0), "ha": "right"} if arrow.bend < 0 else {"xytext": (4, 0), "ha": "left"}
    axes.annotate(arrow.label, middle, textcoords="offset points", va="center", size=8.5, color=ink(GREY), **place)


def _corner(start: Box, end: Box, bend: Number) -> float:
    """The column in which a bent arrow goes up; of a straight one, the column of its middle."""
    if not bend:
        return (start.at[0] + end.at[0]) / 2
    side = 0.5 if bend > 0 else -0.5
    edges = [box.at[0] + side * box.width for box in (start, end)]
    return (max(edges) if bend > 0 else min(edges)) + bend


def _sides(start: Box, end: Box) -> tuple[tuple[Number, Number], tuple[Number, Number]]:
    """Where a straight arrow arrives and where it leaves: above and below, or left and right."""
    (x, y), (u, v) = start.at, end.at
    if abs(x - u) > (start.width + end.width) / 2:
        side = 0.5 if u > x else -0.5
        return (u - side * end.width, v), (x + side * start.width, y)
    up = HALF if v > y else -HALF
    if abs(x - u) < end.width / 2:
        return (x, v - up), (x, y + up)
    return (u, v - up), (u if abs(x - u) < start.width / 2 else x, y + up)


def _in_words(arrows: Sequence[Arrow], frames: Sequence[Frame]) -> str:
    steps = (f"{arrow.start} to {arrow.end}" + (f" ({arrow.label})" if arrow.label else "") for arrow in arrows)
    framed = f" Framed: {', '.join(frame.name for frame in frames)}." if frames else ""
    return f"Arrows lead from {'; '.join(steps)}.{framed}"


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A matrix of a diagram, as high as it has rows and as wide as it has columns.

    Args:
        rows: their letter and how many are drawn, ("T", 3).
        color: of its cells.
        is_masked: whether what lies above its diagonal is hidden, and drawn as such.
        numbers: what is written into the cells.
    """

    name: str
    rows: tuple[str, int]
    columns: tuple[str, int]
    color: str
    is_masked: bool = False
    numbers: Sequence[Sequence[Number]] | None = None


def matrices(lines: Sequence[Sequence[Matrix | str]], title: str, *, cell: float = 0.24) -> Figure:
    """Products of matrices, drawn to scale: rows above and below each other, signs between.

    Args:
        lines: each a sequence of matrices and of signs such as "·", "=" and "softmax".
        cell: inches for one number.
    """
    widths = [sum(_width(item, cell) for item in line) for line in lines]
    heights = [max(item.rows[1] for item in line if isinstance(item, Matrix)) + ABOVE / cell for line in lines]
    figure, axes = plt.subplots(figsize=(cell * max(widths), cell * sum(heights) + 0.4))
    top = 0.0
    for line, height in zip(lines, heights, strict=True):
        x, middle = 0.0, top - height / 2
        for item in line:
            if isinstance(item, Matrix):
                _draw_matrix(axes, item, x + BESIDE / 2 / cell, middle)
            else:
                axes.text(x + _width(item, cell) / 2, middle, item, ha="center", va="center", size=11)
            x += _width(item, cell)
        top -= height
    axes.set(xlim=(0, max(widths)), ylim=(top, 0), aspect="equal", title=title)
    axes.axis("off")
    return describe(figure, " ".join(_equation(line) for line in lines))


def _width(item: Matrix | str, cell: float) -> float:
    """In cells."""
    return item.columns[1] + BESIDE / cell if isinstance(item, Matrix) else (0.12 + 0.088 * len(item)) / cell


def _draw_matrix(axes: Axes, matrix: Matrix, left: float, middle: float) -> None:
    num_rows, num_columns = matrix.rows[1], matrix.columns[1]
    top = middle + num_rows / 2
    for i, j in np.ndindex(num_rows, num_columns):
        is_hidden = matrix.is_masked and j > i + num_columns - num_rows
        face = HIDDEN if is_hidden else matrix.color
        axes.add_patch(Rectangle((left + j, top - i - 1), 1, 1, facecolor=face, edgecolor="white", linewidth=1.5))
        if matrix.numbers is not None and not is_hidden:
            number = f"{matrix.numbers[i][j]:.2f}".removesuffix(".00").replace("-", "−")
            place = (left + j + 0.5, top - i - 0.5)
            axes.text(*place, number, ha="center", va="center", size=9, color=text_on(face))
    center = left + num_columns / 2
    label = partial(axes.annotate, textcoords="offset points", ha="center")
    label(matrix.name, (center, top), xytext=(0, 4), va="bottom", size=10, weight="bold")
    label(matrix.columns[0], (center, top - num_rows), xytext=(0, -3), va="top", size=9, color=ink(GREY))
    label(matrix.rows[0], (left, middle), xytext=(-8, 0), va="center", size=9, color=ink(GREY))


def _equation(line: Sequence[Matrix | str]) -> str:
    words = (f"{m.name} ({m.rows[0]} by {m.columns[0]})" if isinstance(m, Matrix) else m for m in line)
    return f"{' '.join(words)}."
