"""A page's bytes to its problem, solution and title, however the page was written."""

import codecs
import re
import warnings
from dataclasses import dataclass

from gemini_workshop.data.scraping.faults import PageFault
from gemini_workshop.errors import DataError

BLOCKS = (
    *("address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "figure", "footer", "form"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre"),
    *("section", "table", "tr", "ul"),
)
NOT_TEXT = ("script", "style", "noscript", "template")
HELD_SPACES = str.maketrans(" \t", "\ue000\ue001")  # the spaces of <pre>, while others are squeezed
FREED_SPACES = str.maketrans("\ue000\ue001", " \t")


@dataclass(frozen=True, kw_only=True, slots=True)
class Selectors:
    """CSS selectors; of several elements that match, the first is meant. A title that matches nothing is empty."""

    problem: str
    solution: str
    title: str = "title"

    def __post_init__(self) -> None:
        import soupsieve

        for name in ("problem", "solution", "title"):
            try:
                soupsieve.compile(getattr(self, name))
            except soupsieve.SelectorSyntaxError as error:
                reason = str(error).splitlines()[0]
                raise DataError(f"{name}={getattr(self, name)!r} is not a CSS selector: {reason}") from None


@dataclass(frozen=True, slots=True)
class Extract:
    """The texts that the selectors found."""

    problem: str
    solution: str
    title: str


def extract(html: str, selectors: Selectors) -> Extract:
    """The texts of a page; broken HTML is read as browsers read it.

    Raises:
        PageFault: the page has no problem or no solution.
    """
    from bs4 import BeautifulSoup

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bs4's advice on pages that look like XML, or like a file name
        page = BeautifulSoup(html, "lxml")
    found = {}
    for name in ("problem", "solution", "title"):
        selector = getattr(selectors, name)
        element = page.select_one(selector)
        found[name] = "" if element is None else _text_of(element)
        if not found[name] and name != "title":
            raise PageFault("selector", f"{selector!r} matches {'nothing' if element is None else 'no text'}")
    return Extract(**found)


def _text_of(element: object) -> str:
    """The text as a browser shows it: a line for each block, white space squeezed, but kept in ``<pre>``."""
    from bs4 import BeautifulSoup, NavigableString

    part = BeautifulSoup(str(element), "lxml")  # a copy: what is done to it must not show in the next selector
    for rubbish in part.find_all(NOT_TEXT):
        rubbish.decompose()
    for text in part.find_all(string=lambda text: type(text) is NavigableString):  # and no comments
        is_kept = text.find_parent("pre") is not None
        text.replace_with(text.translate(HELD_SPACES) if is_kept else re.sub(r"\s+", " ", text))
    for line_end in part.find_all("br"):
        line_end.replace_with("\n")
    for block in part.find_all(BLOCKS):
        block.insert_before("\n")
        block.insert_after("\n")
    lines = (line.strip(" ") for line in part.get_text().split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip("\n")).translate(FREED_SPACES)


def decode_page(content: bytes, charset: str | None) -> str:
    """The text of a page whose header names this charset, or a wrong one, or none.

    Bytes beyond ASCII that are UTF-8 throughout hardly are anything else, so UTF-8 is tried first on those; then what
    the header says, what the page says, and what statistics say.
    """
    from bs4.dammit import EncodingDetector
    from charset_normalizer import from_bytes

    declared = EncodingDetector.find_declared_encoding(content, is_html=True, search_entire_document=False)
    marked = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else None
    utf_8 = None if content.isascii() else "utf-8-sig"
    for encoding in filter(None, (marked, utf_8, charset, declared)):
        try:
            return content.decode(_as_browsers_read(encoding))
        except (LookupError, ValueError):
            continue
    best = from_bytes(content).best()
    return str(best) if best else content.decode("utf-8", errors="replace")


def _as_browsers_read(encoding: str) -> str:
    """Latin-1 and ASCII on a page mean Windows-1252, whose quotes and dashes they lack (WHATWG, Encoding)."""
    name = codecs.lookup(encoding).name
    return "cp1252" if name in ("iso8859-1", "ascii") else name
