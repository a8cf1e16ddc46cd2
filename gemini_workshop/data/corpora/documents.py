"""The documents of a text corpus: as a stream that never holds more than one of them, or as a list."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gemini_workshop.data.corpora.hub import stream_rows
from gemini_workshop.data.corpora.places import find_edition
from gemini_workshop.data.corpora.python_library import library_docs, library_source
from gemini_workshop.data.corpora.registry import Corpus, Edition, find_corpus
from gemini_workshop.data.documents import open_text, read_documents
from gemini_workshop.errors import DataError

PARAGRAPHS_PER_PASSAGE = 20
GENERATORS: dict[str, Callable[[], Iterator[str]]] = {"python-source": library_source, "python-docs": library_docs}


def load_documents(name: str, size: str = "all") -> list[str]:
    """The documents of a corpus, fetched if need be.

    Raises:
        DataError: there is no such corpus or size, it holds no texts, it cannot be had here, a file of it is damaged,
            or it is too large for a list.
    """
    corpus = find_corpus(name, "text")
    edition, paths = find_edition(corpus, size)
    if edition.stream:
        raise DataError(
            f"The corpus {name} is too large for a list in size {size}. "
            f"Use --size small, or stream_documents({name!r})."
        )
    return list(_documents(corpus, edition, paths))


def stream_documents(name: str, size: str = "all") -> Iterator[str]:
    """The documents of a corpus one by one, in constant memory, however large. Raises as :func:`load_documents`."""
    corpus = find_corpus(name, "text")
    return _documents(corpus, *find_edition(corpus, size))


def _documents(corpus: Corpus, edition: Edition, paths: list[Path]) -> Iterator[str]:
    if edition.stream:
        documents: Iterator[str] = (row["text"] for row in stream_rows(edition.stream))
    elif corpus.reader in GENERATORS:
        documents = GENERATORS[corpus.reader]()
    else:
        documents = itertools.chain.from_iterable(map(DOCUMENT_READERS[corpus.reader], paths))
    return itertools.islice(documents, edition.num_items)


def split_into_passages(lines: Iterable[str]) -> Iterator[str]:
    """Twenty paragraphs, or speeches of a play, to a document: whole exchanges rather than single lines.

    What Project Gutenberg puts before and after a book is left out.
    """
    text = (line.rstrip() for line in _without_gutenberg_frame(lines))
    paragraphs = ("\n".join(group) for is_text, group in itertools.groupby(text, key=bool) if is_text)
    while passage := list(itertools.islice(paragraphs, PARAGRAPHS_PER_PASSAGE)):
        yield "\n\n".join(passage)


def split_into_articles(lines: Iterable[str]) -> Iterator[str]:
    """Articles of WikiText: each begins with its title, ``" = Title = "``; those of sections have more signs."""
    article: list[str] = []
    for line in lines:
        if line.startswith(" = ") and not line.startswith(" = = ") and article:
            if document := "\n".join(article).strip():
                yield document
            article = []
        article.append(line)
    if document := "\n".join(article).strip():
        yield document


DOCUMENT_READERS: dict[str, Callable[[Path], Iterator[str]]] = {
    "end-of-text": read_documents,
    "rows": read_documents,
    "passages": lambda path: split_into_passages(read_lines(path)),
    "articles": lambda path: split_into_articles(read_lines(path)),
}


def _without_gutenberg_frame(lines: Iterable[str]) -> Iterator[str]:
    """The lines between ``*** START OF`` and ``*** END OF``; all, if there are no such marks."""
    head: list[str] = []
    lines = iter(lines)
    for line in itertools.islice(lines, 200):
        if line.startswith("*** START OF"):
            head = []
            break
        head.append(line)
    for line in itertools.chain(head, lines):
        if line.startswith("*** END OF"):
            return
        yield line


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text, without their ends; of a file of rows, each row's text as one line."""
    with open_text(path) as file:
        for line in file:
            yield (json.loads(line)["text"] if path.suffix == ".jsonl" else line).rstrip("\n")
