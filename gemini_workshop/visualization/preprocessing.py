"""Figures about corpora: what cleaning dropped and changed."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gemini_workshop.data.preprocessing.report import Report
from gemini_workshop.visualization.theme import BLUE, GREY, ORANGE, ink


def preprocessing_report(report: Report) -> Figure:
    """What was dropped on the left, what was changed on the right, most frequent first, by number of documents."""
    num_rows = max(len(report.dropped), len(report.changed), 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 1.4 + 0.42 * num_rows))
    _bars(left, report.dropped, report.num_read, ORANGE, num_rows)
    _bars(right, report.changed, report.num_read, BLUE, num_rows)
    num_dropped = report.num_read - report.num_kept
    left.set_title(f"{num_dropped:,} of {report.num_read:,} documents dropped")
    right.set_title("Changed on the way")
    return figure


def _bars(axes: Axes, counts: Mapping[str, int], num_read: int, color: str, num_rows: int) -> None:
    """One bar per name, followed by its count and percentage; as high as ``num_rows`` bars."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    axes.barh([name for name, _ in ordered], [count for _, count in ordered], color=color, height=0.6)
    for i, (_, count) in enumerate(ordered):
        percentage = f"{count / num_read:.1%}" if count >= num_read / 1000 else "< 0.1%"
        axes.annotate(f"{count:,} ({percentage})", (count, i), xytext=(5, 0), textcoords="offset points", va="center")
    if not ordered:
        axes.text(0.5, 0.5, "none", color=ink(GREY), ha="center", va="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
    axes.set_xlim(0, max(counts.values(), default=1) * 1.45)
    axes.set_ylim(num_rows - 0.5, -0.5)
    axes.set_xlabel("documents")
