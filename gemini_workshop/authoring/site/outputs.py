"""A Sphinx extension: stored figures with their descriptions, and docstrings as they look in the source."""

import re
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from gemini_workshop.authoring.site.gallery import figures_of

NAME_OF_A_TYPE = re.compile(r"(?:\w+\.)*[A-Z]\w*[a-z]\w*")
INDENTED = re.compile(r" {4,}\S")
PROSE = re.compile(r"[^\s\-*]")
EXAMPLE = re.compile(r">>>|\.\.\.|Examples?:$")


def describe_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Give each figure of a lesson its alternative text, its width and a name to link to."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix == ".ipynb":
        figures = {figure.digest: figure for figure in figures_of(nbformat.read(path, as_version=4))}
        for image in doctree.findall(nodes.image):
            if figure := figures.pop(Path(image["uri"]).stem, None):
                image.update_basic_atts({"ids": [figure.anchor]})
                image["alt"], image["loading"] = figure.alt, "lazy"


def keep_layout(_app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Keep the layout of a docstring: what is indented is set with spaces, and an example is a paragraph."""
    kept: list[str] = []
    for line in lines:
        last = kept[-1] if kept else ""
        text = next((each for each in reversed(kept) if each.strip()), "")
        if not last and INDENTED.match(line) and PROSE.match(text) and not text.endswith("::"):
            kept += ["::", ""]
        if line.lstrip().startswith(">>>") and last.strip() and not EXAMPLE.match(last.lstrip()):
            kept.append("")
        kept.append(line if INDENTED.match(line) else line.replace("<|", "<\\|"))
    lines[:] = kept


def unlink_shapes(_app: Sphinx, doctree: nodes.document) -> None:
    """Take back the links that Sphinx sees in shapes: the T of ``Float[Tensor, "B T C"]`` names a length."""
    for reference in [*doctree.findall(addnodes.pending_xref)]:
        if reference.get("reftype") == "class" and not NAME_OF_A_TYPE.fullmatch(reference["reftarget"]):
            reference.replace_self(reference.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-read", describe_figures)
    app.connect("doctree-read", unlink_shapes)
    app.connect("autodoc-process-docstring", keep_layout, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
