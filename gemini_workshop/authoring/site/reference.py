"""The pages of the API reference: one for each module, which Sphinx fills from docstrings and type hints."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from gemini_workshop.authoring.site.pages import api_page
from gemini_workshop.paths import PACKAGE


def reference_pages() -> dict[str, str]:
    """The text of every page of the reference, by its name; the one of the package itself lists the units."""
    modules = dict(_modules())
    return {page: _page(name, _below(name, modules.values())) for page, name in modules.items()}


def _modules() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        place = PurePosixPath(path.relative_to(PACKAGE.parent).as_posix())
        if page := api_page(place):
            yield page, ".".join(place.with_suffix("").parts).removesuffix(".__init__")


def _below(name: str, modules: Iterable[str]) -> list[str]:
    """The modules just below a package."""
    return [each for each in modules if each.rpartition(".")[0] == name]


def _page(name: str, below: list[str]) -> str:
    """A page that names the packages above, then what is in the module, then the modules below."""
    above, title = name.split(".")[:-1], name.partition(".")[2] or name
    path = " › ".join(f":py:mod:`{part} <{'.'.join(above[: i + 1])}>`" for i, part in enumerate(above))
    lines = [":orphan:", "", title, "=" * len(title), "", *([f"In {path}", ""] if above else [])]
    lines += [f".. automodule:: {name}", "   :members:", "   :undoc-members:", "   :show-inheritance:", ""]
    if below:
        lines += [".. rubric:: Modules", "", *(f"- :py:mod:`{each}`: {_first_line(each)}" for each in below), ""]
    return "\n".join(lines)


def _first_line(name: str) -> str:
    """What a module says of itself, in its first line."""
    place = PACKAGE.parent.joinpath(*name.split("."))
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
