"""Sliders beside a figure. Where no kernel runs (GitHub, a PDF), only the first figure is shown."""

import base64
from collections.abc import Callable
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from gemini_workshop.visualization.showing import alt_text, png, shown_size


def explore(draw: Callable[..., Figure], **controls: ipywidgets.Widget) -> None:
    """Show ``draw(**values)`` with one widget for each of its arguments; move a widget and it is drawn again.

    Example::

        explore(draw_head, layer=IntSlider(max=5), head=IntSlider(max=7))
    """
    first, alt = _drawn(draw, controls)
    size = shown_size(first)
    image = ipywidgets.Image(value=first, format="png", layout=ipywidgets.Layout(width=f"{size['width']}px"))
    image.tooltip = alt

    def redraw(_: Any) -> None:
        file, image.tooltip = _drawn(draw, controls)
        image.value = file
        image.layout.width = f"{shown_size(file)['width']}px"  # a wider figure is shown wider, not blurred

    for name, control in controls.items():
        control.description = control.description or name.replace("_", " ")
        control.observe(redraw, names="value")
    panel = ipywidgets.VBox([*controls.values(), image])
    bundle = dict(panel._repr_mimebundle_())
    bundle["text/plain"] = f"{alt} Run the cell to change {', '.join(name.replace('_', ' ') for name in controls)}."
    bundle["image/png"] = base64.b64encode(first).decode()
    display(bundle, raw=True, metadata={"image/png": {"alt": alt, **size}})


def _drawn(draw: Callable[..., Figure], controls: dict[str, ipywidgets.Widget]) -> tuple[bytes, str]:
    """The picture for the present values, and its alternative text; the figure is closed."""
    figure = draw(**{name: control.value for name, control in controls.items()})
    file, alt = png(figure), alt_text(figure)
    plt.close(figure)
    return file, alt
