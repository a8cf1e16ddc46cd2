"""``python -m gemini_workshop.authoring.site`` builds the site into ``build/site/html``: what ``make docs`` does.

Nothing is downloaded and no notebook is executed. Every warning, every dead link and every file that a page would load
from elsewhere makes it fail.
"""

import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from gemini_workshop.authoring.site.checking import problems
from gemini_workshop.authoring.site.staging import Stage
from gemini_workshop.errors import WorkshopError
from gemini_workshop.paths import clone_folder

MADE_BY_SPHINX = ("genindex", "py-modindex", "search")


def main() -> int:
    """Fill, build and check; the exit code."""
    top = clone_folder()
    if top is None:
        raise WorkshopError("The site is built from a clone, and this is an installed package.")
    built = build(top, top / "build" / "site")
    found = problems(built)
    print("\n".join(found) or f"The site is {built / 'index.html'}. All its links lead somewhere.")  # noqa: T201
    return bool(found)


def build(top: Path, folder: Path) -> Path:
    """Build the site of a clone below a folder, and say where its pages are."""
    Stage(top, folder / "source").fill()
    config, trees = top / "docs" / "site", folder / "trees"
    options = ["-q", "-W", "--keep-going", "-j", "2", "-c", str(config), "-d", str(trees)]
    if code := build_main([*options, str(folder / "source"), str(folder / "html")]):
        raise SystemExit(code)
    _forget_old_pages(folder / "html", folder / "source")
    return folder / "html"


def _forget_old_pages(site: Path, source: Path) -> None:
    """Delete what an earlier build wrote from sources that are gone; Sphinx writes only what is new."""
    for page in site.rglob("*.html"):
        name = page.relative_to(site).with_suffix("")
        if name.as_posix() not in MADE_BY_SPHINX and not list(source.glob(f"{name.as_posix()}.*")):
            page.unlink()


if __name__ == "__main__":
    sys.exit(main())
