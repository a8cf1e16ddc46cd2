"""Whether what a cell shows now is what was stored: text exactly, figures by where their ink lies.

Processors round differently in the last bits, so that lines in a figure move by a pixel and PNG files differ; texts are
equal, because lessons print few digits. A cell whose numbers come from training carries the tag ``rounded``: each of
them may differ by one in its last printed digit.
"""

import base64
import difflib
import io
import re
from collections.abc import Iterator, Sequence

import numpy as np
from nbformat import NotebookNode
from PIL import Image

# Measured on this project's figures: processors differ by up to 0.026, two figures by 0.10 and more.
FIGURE_TOLERANCE = 0.06
SIZE_TOLERANCE = 0.05  # of width and height: fonts and libraries move a figure's edges by a few pixels
SHIFTS = (0, -6, 6)  # stored pixels, two for each that is shown, by which libraries may move a figure's content
GRID = (24, 48)
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def disagreements(stored: Sequence[NotebookNode], fresh: Sequence[NotebookNode], *, rounded: bool = False) -> list[str]:
    """What differs between a cell's stored outputs and its new ones, line by line; nothing if they agree.

    Args:
        rounded: numbers in texts may differ by one in their last digit.
    """
    old, new = _printed(stored), _printed(fresh)
    if rounded and len(old) == len(new):
        new = [a if _same_but_for_rounding(a, b) else b for a, b in zip(old, new, strict=True)]
    found = [f"  {line[0]} {line[2:]}" for line in difflib.ndiff(old, new) if line.startswith(("- ", "+ "))]
    return [*found, *_different_figures(_figures(stored), _figures(fresh))]


def figure_distance(a: bytes, b: bytes) -> float:
    """How differently the edges of two PNG images are spread over the page: 0 the same, 1 nothing in common."""
    first = _spread(_pixels(a))
    pixels = _pixels(b)
    moved = (np.roll(pixels, (down, right), axis=(0, 1)) for down in SHIFTS for right in SHIFTS)
    return min(_distance(first, _spread(page)) for page in moved)


def png_size(png: bytes) -> tuple[int, int]:
    """Width and height from the header of a PNG file."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def _printed(outputs: Sequence[NotebookNode]) -> list[str]:
    """All text that outputs show: what was printed, then what was displayed with its format."""
    lines = "".join(output.get("text", "") for output in outputs).splitlines()
    for output in outputs:
        lines += [f"{output['ename']}: {output['evalue']}"] if output.output_type == "error" else []
        for mime, value in sorted(output.get("data", {}).items()):
            lines += [f"[{mime}]", *(str(value).splitlines() if not mime.startswith("image/") else [])]
    return lines


def _figures(outputs: Sequence[NotebookNode]) -> list[bytes]:
    bundles = (output.get("data", {}) for output in outputs)
    return [base64.b64decode(bundle["image/png"]) for bundle in bundles if "image/png" in bundle]


def _same_but_for_rounding(a: str, b: str) -> bool:
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return False
    return all(_is_neighbour(x, y) for x, y in zip(NUMBER.findall(a), NUMBER.findall(b), strict=True))


def _is_neighbour(a: str, b: str) -> bool:
    """Whether two printed numbers have as many decimals and differ by at most one in the last of them."""
    decimals = len(a.partition(".")[2])
    if decimals != len(b.partition(".")[2]):
        return False
    step = 10.0**-decimals
    return abs(float(a.replace(",", "")) - float(b.replace(",", ""))) < 1.5 * step


def _different_figures(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[str]:
    for i, (a, b) in enumerate(zip(old, new, strict=False)):
        if a == b:
            continue
        sizes = [png_size(a), png_size(b)]
        if any(abs(x - y) > SIZE_TOLERANCE * max(x, y) for x, y in zip(*sizes, strict=True)):
            yield f"  figure {i} is {sizes[0][0]}x{sizes[0][1]}, now {sizes[1][0]}x{sizes[1][1]}"
        elif (distance := figure_distance(a, b)) > FIGURE_TOLERANCE:
            yield f"  figure {i} is another one: distance {distance:.2f}, allowed {FIGURE_TOLERANCE}"


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.float32)


def _spread(pixels: np.ndarray) -> np.ndarray:
    """How much edge there is in each part of a page."""
    edges = np.zeros(pixels.shape[:2], np.float32)
    edges[1:] += np.abs(np.diff(pixels, axis=0)).sum(-1)
    edges[:, 1:] += np.abs(np.diff(pixels, axis=1)).sum(-1)
    return np.asarray(Image.fromarray(edges).resize(GRID[::-1], Image.Resampling.BOX))


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    total = float(a.sum() + b.sum())
    return float(np.abs(a - b).sum()) / total if total else 0.0
