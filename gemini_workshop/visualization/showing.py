"""How a figure reaches a page: sharp on dense screens, small in a file, and with a text for those who cannot see it."""

import io
import re
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from IPython.core.getipython import get_ipython
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from gemini_workshop.files import write_result

SHARPNESS = 2  # pixels stored for each pixel shown, along each side
COLORS_KEPT = 256
NAMES_READ_OUT = 8  # more would be a table


def describe(figure: Figure, text: str) -> Figure:
    """Say in sentences what a figure shows; its title and axes need no mention, ``alt_text`` puts them first."""
    figure.set_label(" ".join(text.split()))
    return figure


def alt_text(figure: Figure) -> str:
    """The alternative text of a figure: its title, what is drawn over what, and its description.

    Without a description, the words that are written into the figure stand in for it.
    """
    title = getattr(figure, "_suptitle", None)
    parts = [title.get_text() if title else "", *(_panel(axes) for axes in figure.axes)]
    parts.append(figure.get_label() or _written_in(figure))
    return " ".join(f"{part.rstrip('.')}." for part in parts if part)


def _panel(axes: Axes) -> str:
    """Title and labels of one panel; a color bar has only the latter."""
    y, x = axes.get_ylabel(), axes.get_xlabel()
    labels = f"{y} over {x}" if x and y else x or y
    return ": ".join(part.replace("\n", " ") for part in (axes.get_title("left"), labels) if part)


def _written_in(figure: Figure) -> str:
    """Names of lines and places; not the numbers, which may depend on the machine."""
    texts = (text.get_text() for axes in figure.axes for text in axes.texts)
    names = dict.fromkeys(" ".join(text.split()) for text in texts if re.search("[^\\W\\d_]", text))
    return f"Named in it: {', '.join(names)}" if 0 < len(names) <= NAMES_READ_OUT else ""


def png(figure: Figure, **options: Any) -> bytes:
    """A figure as a PNG file of few colors, which are enough for lines, text and maps."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=SHARPNESS * figure.dpi, **options)
    small = io.BytesIO()
    pixels = Image.open(buffer).convert("RGB")
    pixels.quantize(COLORS_KEPT, dither=Image.Dither.NONE).save(small, format="PNG", optimize=True)
    return small.getvalue()


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure into a file, whole or not at all, in the format that the name of the file tells.

    Raises:
        WorkshopError: it cannot be written there.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(path).suffix[1:].lower() or "png")
    write_result(path, buffer.getvalue())


def shown_size(file: bytes) -> dict[str, int]:
    """The width and height at which a PNG file made by ``png`` is shown."""
    width, height = (int.from_bytes(file[at : at + 4], "big") // SHARPNESS for at in (16, 20))
    return {"width": width, "height": height}


def show_in_notebooks() -> None:
    """In a kernel, display figures as ``png`` gives them, with their alternative text; elsewhere do nothing."""
    shell = get_ipython()
    if shell is None or shell.display_formatter is None:
        return
    plt.switch_backend(matplotlib.get_backend())  # the backend sets formatters of its own when it is loaded
    formatters = shell.display_formatter.formatters
    formatters["image/png"].for_type(Figure, _with_metadata)
    formatters["text/plain"].for_type(Figure, lambda figure, printer, _: printer.text(alt_text(figure)))


def _with_metadata(figure: Figure) -> tuple[bytes, dict[str, object]]:
    file = png(figure, bbox_inches="tight")
    return file, {"alt": alt_text(figure), **shown_size(file)}
