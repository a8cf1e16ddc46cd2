"""A Sphinx extension: formulas as MathML, which browsers set themselves, without a script or a network."""

import re
import shutil
from html import escape
from importlib import metadata
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

FONT = Path(str(metadata.distribution("ziamath").locate_file("ziamath/fonts/STIXTwoMath-Regular.ttf")))


def to_mathml(latex: str, *, block: bool = False) -> str:
    """A formula as MathML, with its source for whoever copies it."""
    mathml = convert(latex.strip(), display="block" if block else "inline").replace(r"\_", "_")
    body = re.sub(r"^<math[^>]*>|</math>$", "", mathml.strip())
    source = f'<annotation encoding="application/x-tex">{escape(latex.strip())}</annotation>'
    display = "block" if block else "inline"
    return f'<math display="{display}"><semantics><mrow>{body}</mrow>{source}</semantics></math>'


def visit_inline(self: Any, node: nodes.math) -> None:
    """A formula within a sentence."""
    self.body.append(to_mathml(node.astext()))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    """A formula on its own line."""
    self.body.append(f'<div class="formula">{to_mathml(node.astext(), block=True)}</div>\n')
    raise nodes.SkipNode


def copy_font(app: Sphinx, error: Exception | None) -> None:
    """Put the font for formulas beside the style sheets; most machines have none."""
    if error is None:
        shutil.copyfile(FONT, Path(app.outdir) / "_static" / FONT.name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect("build-finished", copy_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
