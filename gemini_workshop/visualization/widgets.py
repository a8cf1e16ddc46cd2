"""Sliders beside a figure. Where no kernel runs (GitHub, a PDF) the first figure stands there alone."""

import base64
import io
from collections.abc import Callable
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure


def explore(draw: Callable[..., Figure], **controls: ipywidgets.Widget) -> None:
    """Show ``draw(**values)`` with one widget for each of its arguments; move a widget and it is drawn anew.

    Example::

        explore(draw_head, layer=IntSlider(max=5), head=IntSlider(max=7))
    """
    first = png(draw(**{name: control.value for name, control in controls.items()}))
    width = int.from_bytes(first[16:20], "big")  # a PNG begins with its signature and its width in pixels
    picture = ipywidgets.Image(value=first, format="png", layout=ipywidgets.Layout(width=f"{width}px"))

    def redraw(_: Any) -> None:
        picture.value = png(draw(**{name: control.value for name, control in controls.items()}))

    for name, control in controls.items():
        control.description = control.description or name.replace("_", " ")
        control.observe(redraw, names="value")
    panel = ipywidgets.VBox([*controls.values(), picture])
    bundle = dict(panel._repr_mimebundle_())
    bundle["text/plain"] = f"A figure with {len(controls)} controls; run the cell to move them."
    bundle["image/png"] = base64.b64encode(first).decode()
    display(bundle, raw=True)


def png(figure: Figure) -> bytes:
    """A figure as a PNG file; the figure is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return buffer.getvalue()
