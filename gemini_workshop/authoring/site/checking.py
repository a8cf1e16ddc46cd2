"""Read the built site: does every link lead somewhere, and does no page load anything from elsewhere?"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
}
NEIGHBOURS = ("author", "canonical", "index", "next", "prev", "search", "top")
IN_CSS = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


class Page(HTMLParser):
    """One page: the names that a link can lead to, where its links lead, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag names, links and loads."""
        values = {key: value for key, value in attrs if value}
        self.names |= {values[key] for key in ("id", "name") if key in values}
        names_a_page = tag == "link" and values.get("rel") in NEIGHBOURS
        if "href" in values and (tag == "a" or names_a_page):
            self.links.append(values["href"])
        if LOADED.get(tag) in values and not names_a_page:
            self.loads.append(values[LOADED[tag]])


def problems(site: Path) -> list[str]:
    """A sentence for each link of the site that leads nowhere, and for each thing that would come from elsewhere."""
    pages = {path.resolve(): Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    found = [
        f"{path.relative_to(site.resolve())}: {problem}"
        for path, page in pages.items()
        for problem in [*_dead(path, page, pages), *_foreign(path, page.loads)]
    ]
    for sheet in sorted(site.rglob("*.css")):
        loads = ["".join(match) for match in IN_CSS.findall(sheet.read_text("utf-8"))]
        found += [f"{sheet.relative_to(site)}: {problem}" for problem in _foreign(sheet, loads)]
    return found


def _dead(path: Path, page: Page, pages: dict[Path, Page]) -> Iterator[str]:
    for link in dict.fromkeys(page.links):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        name = unquote(parts.fragment)
        if not target.is_file():
            yield f"the link {link} leads nowhere"
        elif name and target in pages and name not in pages[target].names:
            yield f"the link {link} leads to a page that has no {name!r}"


def _foreign(path: Path, loads: list[str]) -> Iterator[str]:
    for load in dict.fromkeys(loads):
        parts = urlsplit(load)
        if parts.scheme in ("http", "https") or parts.netloc:
            yield f"it loads {load} from elsewhere"
        elif not parts.scheme and not (path.parent / unquote(parts.path)).is_file():
            yield f"it loads {load}, which is not there"
