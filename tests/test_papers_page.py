"""docs/paper_references.md names every paper that the package and the lessons cite, and nothing else."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.clone import TOP

PAGE = (TOP / "docs" / "paper_references.md").read_text("utf-8")
LINE = re.compile(
    r"- (?P<authors>[^\"\[]+?) (?P<year>\d{4}), (?:\"(?P<title>.+?)\", )?(?P<where>\[.*?\]\(\S+\)|[^.]+)\. "
    r"(?P<taken>.+\.) See (?P<files>\[.+\))\."
)
NUMBER = re.compile(r"(?:arXiv:|arxiv\.org/abs/)(\d{4}\.\d{4,5})")
DOI = re.compile(r"doi:(10\.[^\s;,\]]+[^\s;,.\]])")
DATED_TITLE = re.compile(r'\b(?:19|20)\d\d, "([A-Z][^"]+)"')  # Karpathy 2019, "A Recipe for Training Neural Networks"
TITLE_OF_A_SOURCE = re.compile(r'\b[A-Z][a-z]+, "([A-Z][^"]+)"')  # Rajaraman and Ullman, "Mining of Massive Datasets"


class Entry(NamedTuple):
    """A paper on the page, and the files that it points to, as links from docs/."""

    authors: str
    year: int
    title: str | None
    where: str
    files: list[str]


def entries(page: str) -> Iterator[list[Entry]]:
    """The papers of each subject."""
    for group in page.split("\n## ")[1:]:
        papers = []
        for item in re.findall(r"^- .*(?:\n  .*)*", group, re.MULTILINE):
            line = flat(item)
            match = LINE.fullmatch(line)
            assert match, f'not: - Authors YEAR, "Title", where. What we take. See [file](link). But: {line}'
            files = re.findall(r"\]\(([^)]+)\)", match["files"])
            papers.append(Entry(match["authors"], int(match["year"]), match["title"], match["where"], files))
        yield papers


def flat(text: str) -> str:
    """Lines and comments run on, so that a title broken in two is found."""
    return re.sub(r"\s+(?:# *)*", " ", text)


def cited_titles(text: str) -> set[str]:
    """Titles in quotation marks: after a year anywhere, after a name where a docstring lists its sources."""
    sources = re.findall(r"^ *Sources?: .*?(?=\n\s*\n|\"\"\"|\Z)", text, re.MULTILINE | re.DOTALL)
    return set(DATED_TITLE.findall(flat(text))) | {
        title for source in sources for title in TITLE_OF_A_SOURCE.findall(flat(source))
    }


def missing(page: str, text: str) -> set[str]:
    """What a file cites and the page does not have."""
    titles = {title for title in cited_titles(text) if title.lower() not in flat(page).lower()}
    return (
        titles
        | (set(NUMBER.findall(text)) - set(NUMBER.findall(page)))
        | (set(DOI.findall(text)) - set(DOI.findall(page)))
    )


def cites(text: str, entry: Entry) -> bool:
    """Whether a file cites this paper: by number or DOI; without them, by link, title, or author and year."""
    for name in (NUMBER, DOI):
        if found := name.search(entry.where):
            return found[1] in name.findall(text)
    link = re.search(r"\]\(https://([^)]+?)/?\)", entry.where)
    if link and link[1] in text:
        return True
    first = re.split(r",| and | et al", entry.authors)[0]
    if entry.title and entry.title.lower() in flat(text).lower():
        return True
    return re.search(rf"{re.escape(first)}\b[^.;]*(?: et al\.[^.;]*)?\b{entry.year}\b", flat(text)) is not None


def texts() -> dict[Path, str]:
    """All that can cite a paper."""
    package, lessons = TOP / "gemini_workshop", TOP / "notebooks" / "sources"
    paths = [path for top in (package, lessons) for path in top.rglob("*") if path.suffix in {".py", ".yaml", ".md"}]
    return {path: path.read_text("utf-8") for path in sorted(paths)}


GROUPS = list(entries(PAGE))
PAPERS = [entry for group in GROUPS for entry in group]
TEXTS = texts()


def test_every_citation_is_on_the_page():
    lacking = {path.name: missing(PAGE, text) for path, text in TEXTS.items()}
    assert {name: papers for name, papers in lacking.items() if papers} == {}


def test_every_paper_points_to_files_that_cite_it():
    wrong = [
        f"{entry.authors} {entry.year}: {link}"
        for entry in PAPERS
        for link in entry.files
        if not cites(TEXTS.get((TOP / "docs" / link).resolve(), ""), entry)
    ]
    assert len(PAPERS) > 100
    assert wrong == []


def test_papers_are_sorted_by_year_within_a_subject():
    assert [
        f"{late.authors} {late.year} after {early.year}"
        for group in GROUPS
        for early, late in pairwise(group)
        if late.year < early.year
    ] == []


def test_no_paper_is_listed_twice():
    names = [entry.title or entry.where for entry in PAPERS]
    assert [name for name in names if names.count(name) > 1] == []
    numbers = [number for entry in PAPERS for number in set(NUMBER.findall(entry.where))]
    assert [number for number in numbers if numbers.count(number) > 1] == []


ENTRY = (
    '\n## Subject\n\n- A et al. 2017, "On B", [arXiv:1234.56789](https://arxiv.org/abs/1234.56789). C. See [d](d.py).\n'
)


@pytest.mark.parametrize(
    "text",
    [
        "Source: A et al. 2017, arXiv:1234.99999.",
        "# see [the report](https://arxiv.org/abs/1234.99999)",
        "Source: A and E 1999, doi:10.1000/182, section 2.",
        '# as E 2019, "A Recipe for\n# Nothing", says',
        '"""F.\n\nSource: Egg and Fox, "Book of\nNothing".\n"""',
    ],
)
def test_a_citation_that_the_page_lacks_is_found(text):
    assert len(missing(ENTRY, text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "arXiv:1234.56789",
        'A 2017, "On\n# B"',
        'Source: the API reference, "Completions" and "Chat"',
        'Option(Name, "Help.")',
    ],
)
def test_a_citation_that_the_page_has_and_ordinary_text_are_not(text):
    assert missing(ENTRY, text) == set()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Source: A et al. 2017, arXiv:1234.56789.", True),
        ("Source: A et al. 2017, arXiv:1234.5678.", False),
        ('Source: A et al. 2017, "On B".', False),  # its number is missing
    ],
)
def test_a_file_cites_a_paper_by_its_number(text, says):
    ((entry,),) = entries(ENTRY)
    assert cites(text, entry) == says


@pytest.mark.parametrize(
    ("text", "says"),
    [("see A et al. 2017", True), ("A, G and H (2017)", True), ("on b", True), ("A 2018", False), ("Ab 2017", False)],
)
def test_a_paper_without_a_number_is_cited_by_title_or_author_and_year(text, says):
    entry = Entry("A et al.", 2017, "On B", "Journal of C 1(2)", ["d.py"])
    assert cites(text, entry) == says
