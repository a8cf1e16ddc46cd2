"""A page's bytes to its problem, solution and title, however the page was written."""

import codecs
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bs4 import PageElement, Tag

from gemini_workshop.data.scraping.faults import PageFault
from gemini_workshop.errors import DataError

BLOCKS = (
    *("address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "figure", "footer", "form"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre"),
    *("section", "table", "ul"),
)
CELLS, ROW_GROUPS = ("td", "th"), ("thead", "tbody", "tfoot")
EXPONENT = re.compile(r"[-+−]?([0-9]+|[a-z]|[a-z0-9]+[-+−][a-z0-9]+)", re.IGNORECASE)  # not "th" or "[1]"
NOT_TEXT = ("script", "style", "noscript", "template")
HELD_SPACES = str.maketrans(" \t\n", "\ue000\ue001\ue002")  # the spaces and lines of <pre>, while others are squeezed
FREED_SPACES = str.maketrans("\ue000\ue001\ue002", " \t\n")

LARGER = {
    **dict.fromkeys(("iso8859-1", "ascii"), "cp1252"),
    "iso8859-9": "cp1254",
    **dict.fromkeys(("iso8859-11", "tis-620"), "cp874"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    "big5": "big5hkscs",
    **dict.fromkeys(("shift_jis", "shift_jisx0213", "shift_jis_2004"), "cp932"),
    **dict.fromkeys(("euc_kr", "johab"), "cp949"),
    "utf-16": "utf-16-le",
}
"""By Python's name of an encoding, the larger one that browsers read in its place."""
LABELS = {
    **dict.fromkeys(("x-gbk", "gb_2312-80", "iso-ir-58"), "gb18030"),
    **dict.fromkeys(("cn-big5", "x-x-big5"), "big5hkscs"),
    **dict.fromkeys(("x-sjis", "windows-31j", "ms_kanji"), "cp932"),
    **dict.fromkeys(("ksc5601", "ks_c_5601-1989", "windows-949", "iso-ir-149"), "cp949"),
    **dict.fromkeys(("iso-8859-8-i", "iso-8859-8-e", "csiso88598i", "csiso88598e", "logical", "visual"), "iso8859-8"),
    **dict.fromkeys(("dos-874", "windows-874"), "cp874"),
    **{f"x-cp{number}": f"cp{number}" for number in range(1250, 1259)},
    **dict.fromkeys(("x-euc-jp",), "euc_jp"),
    **dict.fromkeys(("macintosh", "x-mac-roman"), "mac_roman"),
    **dict.fromkeys(("x-mac-cyrillic", "x-mac-ukrainian"), "mac_cyrillic"),
    **dict.fromkeys(("koi", "koi8"), "koi8-r"),
    "koi8-ru": "koi8-u",
    **dict.fromkeys(("unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8"), "utf-8"),
    **dict.fromkeys(("ucs-2", "iso-10646-ucs-2", "unicode", "csunicode", "unicodefeff"), "utf-16-le"),
    "unicodefffe": "utf-16-be",
}
"""Labels that Python does not know, or takes for another encoding."""
WEB = re.compile(
    r"utf-8(-sig)?|utf-16(-[lb]e)?|cp(866|874|932|949|125[0-8])|iso8859-([2-8]|10|1[3-6])|koi8-[ru]|mac-(roman|cyrillic)|"
    r"gb18030|big5hkscs|euc_jp|iso2022_jp"
)
"""What web pages are written in, by Python's names."""


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


def _text_of(element: "Tag") -> str:
    """The text as a browser shows it.

    A line for each block and row, tabs between cells, "10^6" for a raised 6; white space is squeezed, but kept in
    ``<pre>``.
    """
    from bs4 import NavigableString, Tag

    pieces: list[str] = []
    num_pre = 0
    for node, is_start in _in_order(element):
        if type(node) is NavigableString:  # and not a comment
            pieces.append(node.translate(HELD_SPACES) if num_pre else re.sub(r"\s+", " ", node))
        if not isinstance(node, Tag):
            continue
        num_pre += (node.name == "pre") * (1 if is_start else -1)
        if node.name in BLOCKS:
            pieces.append("\n")
        elif is_start and node is not element:
            pieces.append(_before(node, pieces))
    lines = (line.strip(" ") for line in "".join(pieces).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip("\n")).translate(FREED_SPACES).strip("\n")


def _in_order(element: "Tag") -> "Iterator[tuple[PageElement, bool]]":
    """Elements when they begin (True) and end (False), and the strings between, however deep they are nested."""
    from bs4 import Tag

    waiting: list[tuple[PageElement, bool]] = [(element, True)]
    while waiting:
        node, is_start = waiting.pop()
        if isinstance(node, Tag) and node.name in NOT_TEXT:
            continue
        yield node, is_start
        if isinstance(node, Tag) and is_start:
            waiting.append((node, False))
            waiting += [(child, True) for child in reversed(node.contents)]


def _before(node: "Tag", pieces: list[str]) -> str:
    """What stands before a line break, a cell, a row or a raised number."""
    if node.name == "br":
        return "\n"
    if node.name in CELLS:
        return "\t" if node.find_previous_sibling(CELLS) else ""
    if node.name == "tr":
        part = node.parent if node.parent is not None and node.parent.name in ROW_GROUPS else node
        return "\n" if node.find_previous_sibling("tr") or part.find_previous_sibling((*ROW_GROUPS, "tr")) else ""
    if node.name == "sup" and (before := "".join(pieces[-2:])) and (before[-1].isalnum() or before[-1] in ")]"):
        return "^" if EXPONENT.fullmatch(node.get_text().strip()) else ""
    return ""


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
            return content.decode(encoding if encoding is marked else _as_browsers_read(encoding))
        except (LookupError, ValueError):
            continue
    best = from_bytes(content).best()
    return str(best) if best else content.decode("utf-8", errors="replace")


def _as_browsers_read(label: str) -> str:
    """The encoding that browsers take for a label: Windows-1252 for Latin-1, whose quotes it lacks, and so on.

    Source: WHATWG, Encoding, section 4.2.

    Raises:
        LookupError: none, such as UTF-7, which can hide scripts, or what is not an encoding of the web.
    """
    label = label.strip().lower()
    name = codecs.lookup(LABELS.get(label, label)).name
    name = LARGER.get(name, name)
    if not WEB.fullmatch(name):
        raise LookupError(f"{label} is not an encoding of web pages")
    return name
