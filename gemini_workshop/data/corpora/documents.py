"""Texts as documents: a stream that never holds more than one document, or a list.

A reader turns lines into documents; lines come without their ends.
"""

import gzip
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gemini_workshop.data.corpora.hub import stream_rows
from gemini_workshop.data.corpora.places import find_edition
from gemini_workshop.data.corpora.python_library import library_docs, library_source
from gemini_workshop.data.corpora.registry import Corpus, Edition, find_corpus
from gemini_workshop.data.tokenizer import END_OF_TEXT
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
        reader = READERS[corpus.reader]
        documents = (document for path in paths for document in reader(_read_lines(path)))
    return itertools.islice(documents, edition.num_items)


def split_at_end_of_text(lines: Iterable[str]) -> Iterator[str]:
    """The documents between marks ``<|endoftext|>``, without the white space around them."""
    return _split(lines, END_OF_TEXT)


def split_into_passages(lines: Iterable[str]) -> Iterator[str]:
    """Twenty paragraphs, or speeches of a play, to a document: whole exchanges rather than single lines.

    What Project Gutenberg puts before and after a book is left out.
    """
    text = (line.rstrip() for line in _without_gutenberg_frame(lines))
    paragraphs = ("\n".join(group) for is_text, group in itertools.groupby(text, key=bool) if is_text)
    while passage := list(itertools.islice(paragraphs, PARAGRAPHS_PER_PASSAGE)):
        yield "\n\n".join(passage)


def split_into_articles(lines: Iterable[str]) -> Iterator[str]:
    """Articles of WikiText: each begins with its title, `` = Title = ``; those of sections have more signs."""
    article: list[str] = []
    for line in lines:
        if line.startswith(" = ") and not line.startswith(" = = ") and article:
            if document := "\n".join(article).strip():
                yield document
            article = []
        article.append(line)
    if document := "\n".join(article).strip():
        yield document


READERS: dict[str, Callable[[Iterable[str]], Iterator[str]]] = {
    "end-of-text": split_at_end_of_text,
    "passages": split_into_passages,
    "articles": split_into_articles,
    "rows": iter,
}


def _split(lines: Iterable[str], mark: str) -> Iterator[str]:
    document: list[str] = []
    for line in lines:
        *ended, begun = line.split(mark)
        for piece in ended:
            if text := "\n".join([*document, piece]).strip():
                yield text
            document = []
        document.append(begun)
    if text := "\n".join(document).strip():
        yield text


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


def _read_lines(path: Path) -> Iterator[str]:
    """The lines of a text, packed or not; of a file of rows, each row's text as one line."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig") as file:
        for line in file:
            yield json.loads(line)["text"].rstrip("\n") if path.suffix == ".jsonl" else line.rstrip("\n")
