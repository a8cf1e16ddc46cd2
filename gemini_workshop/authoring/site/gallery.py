"""The figures of the lessons, as their solutions store them, on one page for each part of the course."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from nbformat import NotebookNode

PARTS = {
    "part1_evolution": "Evolution",
    "part2_fundamentals": "Fundamentals",
    "part3_innovations": "Innovations",
    "part4_training": "Training",
    "part5_integration": "Integration",
}


@dataclass(frozen=True)
class Figure:
    """A stored figure.

    Args:
        digest: of its bytes; the site names the file by it.
        alt: what it shows, for those who do not see it.
        width: on a page, in pixels.
        height: the same.
    """

    digest: str
    alt: str
    width: int
    height: int

    @property
    def anchor(self) -> str:
        """The name of its place in the lesson."""
        return f"figure-{self.digest[:10]}"

    @property
    def title(self) -> str:
        """The title that is drawn above it: the first sentence of its description, without the names of the axes."""
        sentence = self.alt.split(". ")[0].rstrip(".")
        return sentence.rpartition(": ")[0] or sentence


def figures_of(notebook: NotebookNode) -> Iterator[Figure]:
    """Every figure that a notebook shows, from top to bottom, each once."""
    seen = set()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if image := output.get("data", {}).get("image/png"):
                figure = _figure(image, output.metadata.get("image/png", {}))
                if figure.digest not in seen:
                    yield figure
                seen.add(figure.digest)


def gallery_page(part: str, lessons: list[tuple[str, str, list[Figure]]]) -> str:
    """The Markdown of the page of one part, from the page, the title and the figures of its lessons."""
    blocks = [f"# Figures: {PARTS[part]}", "Each figure leads to its place in the lesson."]
    for page, title, figures in lessons:
        shown = "\n".join(_shown(figure, page) for figure in figures)
        blocks += [f"## {title}", f'<div class="gallery">\n{shown}\n</div>']
    return "\n\n".join(blocks) + "\n"


def _figure(image: str, metadata: dict) -> Figure:
    digest = hashlib.sha256(base64.b64decode(image)).hexdigest()
    return Figure(digest, metadata.get("alt", ""), metadata.get("width", 0), metadata.get("height", 0))


def _shown(figure: Figure, page: str) -> str:
    size = f'width="{figure.width}" height="{figure.height}"'
    image = f'<img src="../_images/{figure.digest}.png" alt="{escape(figure.alt)}" {size} loading="lazy">'
    return (
        f'<figure><a href="../{page}.html#{figure.anchor}">{image}'
        f"<figcaption>{escape(figure.title)}</figcaption></a></figure>"
    )
