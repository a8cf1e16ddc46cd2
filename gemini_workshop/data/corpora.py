"""The texts one can train on, by name: where each comes from, what it may be used for, how to get it.

``stories`` is embedded and needs nothing. The others are read from the folder named by ``GEMINI_WORKSHOP_MIRROR``,
if it has them, else from the folder of downloads, else they are downloaded. Each file is checked against its sum.
"""

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gemini_workshop.paths
from gemini_workshop.data.download import download
from gemini_workshop.data.files import sha256_of, write_atomically
from gemini_workshop.data.tokenizer import END_OF_TEXT
from gemini_workshop.errors import DataError, unknown_name

MIRROR_VARIABLE = "GEMINI_WORKSHOP_MIRROR"
SPEECHES_PER_PASSAGE = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusFile:
    """One file of a corpus.

    Args:
        path: below the mirror, and below the folder of downloads.
        sha256: its sum; None if its publisher states none, so that ours is taken when it is first downloaded.
        url: where it can be downloaded by itself; empty for the slices that only a mirror has.
    """

    path: str
    sha256: str | None = None
    url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Edition:
    """Files that hold a corpus in one size, and how many of their documents to use (None: all)."""

    files: tuple[CorpusFile, ...]
    num_documents: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """A text with its papers.

    Args:
        source: where it was first published.
        sizes: for each size, the editions that serve, the preferred one first. Editions of one size need not hold the
            same text: results of two machines are comparable when both read the same edition.
        split: cuts the text of a file into documents.
        is_embedded: part of the installation; needs neither mirror nor download.
    """

    name: str
    title: str
    about: str
    licence: str
    source: str
    sizes: dict[str, tuple[Edition, ...]]
    split: Callable[[str], list[str]]
    is_embedded: bool = False


def split_at_end_of_text(text: str) -> list[str]:
    """The documents between lines ``<|endoftext|>``, without the white space around them."""
    return [document for piece in text.split(END_OF_TEXT) if (document := piece.strip())]


def split_into_passages(text: str) -> list[str]:
    """Twenty speeches, parted by empty lines, to a document: whole exchanges rather than single lines."""
    speeches = [speech for piece in text.split("\n\n") if (speech := piece.strip())]
    starts = range(0, len(speeches), SPEECHES_PER_PASSAGE)
    return ["\n\n".join(speeches[start : start + SPEECHES_PER_PASSAGE]) for start in starts]


STORIES = Corpus(
    name="stories",
    title="Workshop stories",
    about="Short stories in simple English, written by the workshop's own generator; part of the installation.",
    licence="CC BY 4.0",
    source="gemini_workshop.data.stories",
    sizes={"all": (Edition(files=(CorpusFile(path="stories.txt"),)),)},
    split=split_at_end_of_text,
    is_embedded=True,
)

# The mirror's files are slices of the published ones, so their sums are their own. The file to download is the
# published validation split: large enough to train on here, and a hundredth of the training split.
_TINYSTORIES_SMALL = CorpusFile(
    path="tinystories/v2-gpt4.train.txt.gz",
    sha256="62b9138be9feff7e03c6a42699d8cbe6327d0a77e6f35cea32a2c28d868eca36",
)
_TINYSTORIES_MORE = (
    CorpusFile(
        path="tinystories/v1.train.txt.gz",
        sha256="845fd8fa32cbc512032ce49c8570f482c544ae0c971a3f0380607dc0dec1a5b8",
    ),
    CorpusFile(
        path="tinystories/v1.more.txt.gz",
        sha256="5871ae41d598c06373b3d3cbce86b7eda93c65c61672cadb3a5789ff17a1fc92",
    ),
)
_TINYSTORIES_PUBLISHED = CorpusFile(
    path="tinystories/TinyStoriesV2-GPT4-valid.txt",
    url="https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/TinyStoriesV2-GPT4-valid.txt",
)
TINYSTORIES = Corpus(
    name="tinystories",
    title="TinyStories",
    about="Short stories in the words of a small child, written by GPT-3.5 and GPT-4 (Eldan and Li 2023, "
    "arXiv:2305.07759). A mirror holds slices of the training splits: 1,500 stories (small), 9,064 (all). Without one, "
    "the published validation split is downloaded, 22 MB, of which small takes the first 1,500 stories.",
    licence="CDLA-Sharing-1.0",
    source="https://huggingface.co/datasets/roneneldan/TinyStories",
    sizes={
        "small": (
            Edition(files=(_TINYSTORIES_SMALL,)),
            Edition(files=(_TINYSTORIES_PUBLISHED,), num_documents=1500),
        ),
        "all": (
            Edition(files=(_TINYSTORIES_SMALL, *_TINYSTORIES_MORE)),
            Edition(files=(_TINYSTORIES_PUBLISHED,)),
        ),
    },
    split=split_at_end_of_text,
)

SHAKESPEARE = Corpus(
    name="shakespeare",
    title="Tiny Shakespeare",
    about="40,000 lines from the plays, 1.1 MB; a document is a passage of twenty speeches.",
    licence="public domain (text), MIT (repository)",
    source="https://github.com/karpathy/char-rnn",
    sizes={
        "all": (
            Edition(
                files=(
                    CorpusFile(
                        path="tinyshakespeare/input.txt",
                        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                        url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                    ),
                )
            ),
        )
    },
    split=split_into_passages,
)

_CORPORA = {corpus.name: corpus for corpus in (STORIES, TINYSTORIES, SHAKESPEARE)}


def corpus_names() -> list[str]:
    """The corpora that :func:`find_corpus` knows; the first is embedded."""
    return list(_CORPORA)


def find_corpus(name: str) -> Corpus:
    """The corpus of that name.

    Raises:
        DataError: there is none; the message names the nearest.
    """
    if name not in _CORPORA:
        raise DataError(unknown_name("corpus", name, _CORPORA))
    return _CORPORA[name]


def load_documents(name: str, size: str = "all") -> list[str]:
    """The documents of a corpus, downloaded if need be.

    Raises:
        DataError: there is no such corpus or size, it cannot be had here, or a file of it is damaged.
    """
    corpus = find_corpus(name)
    edition, paths = _locate(corpus, size)
    documents = [document for path in paths for document in corpus.split(_read_text(path))]
    return documents[: edition.num_documents]


def corpus_files(name: str, size: str = "all") -> list[Path]:
    """The checked files of a corpus on this machine, downloaded if need be. Raises as :func:`load_documents`."""
    return _locate(find_corpus(name), size)[1]


def samples_folder() -> Path:
    """Where the embedded samples lie: in the repository, or where a wheel puts them."""
    folder = gemini_workshop.paths.samples_folder()
    if not (folder / "stories.txt").is_file():
        raise DataError(f"The embedded samples are not in {folder}. Install the package again.")
    return folder


def download_folder() -> Path:
    """Where downloads are kept: ``data/raw`` of the repository, or below the learner's folder for a wheel."""
    repository = gemini_workshop.paths.clone_folder()
    return repository / "data" / "raw" if repository else gemini_workshop.paths.home() / "data"


def _locate(corpus: Corpus, size: str) -> tuple[Edition, list[Path]]:
    if size not in corpus.sizes:
        raise DataError(unknown_name(f"size of {corpus.name} called", size, corpus.sizes))
    editions = corpus.sizes[size]
    if corpus.is_embedded:
        return editions[0], [samples_folder() / file.path for file in editions[0].files]
    for root in _roots():
        for edition in editions:
            paths = [root / file.path for file in edition.files]
            if all(path.is_file() for path in paths):
                for file, path in zip(edition.files, paths, strict=True):
                    _verify(file, path)
                return edition, paths
    return _download(corpus, editions)


def _roots() -> list[Path]:
    mirror = os.environ.get(MIRROR_VARIABLE)
    if mirror and not Path(mirror).is_dir():
        raise DataError(f"{MIRROR_VARIABLE}={mirror} is not a folder. Name one that exists, or unset the variable.")
    return [*([Path(mirror)] if mirror else []), download_folder()]


def _download(corpus: Corpus, editions: tuple[Edition, ...]) -> tuple[Edition, list[Path]]:
    edition = next(edition for edition in editions if all(file.url for file in edition.files))
    paths = [download_folder() / file.path for file in edition.files]
    for file, path in zip(edition.files, paths, strict=True):
        try:
            download(file.url, path, file.sha256)
        except DataError as error:
            raise DataError(
                f"The corpus {corpus.name} is not on this machine. {error} "
                f"Offline, use the embedded corpus 'stories', or set {MIRROR_VARIABLE} to a folder that holds "
                f"{editions[0].files[0].path}."
            ) from None
        if file.sha256 is None:
            write_atomically(_sum_path(path), sha256_of(path).encode())
    return edition, paths


def _verify(file: CorpusFile, path: Path) -> None:
    """Compare with the published sum, or, where there is none, with the one noted after the download."""
    expected = file.sha256
    if expected is None and _sum_path(path).is_file():
        expected = _sum_path(path).read_text("ascii")
    if expected is not None and (found := sha256_of(path)) != expected:
        raise DataError(f"{path} is damaged: its sha256 is {found}, not {expected}. Delete it, and fetch it again.")


def _sum_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return content.decode("utf-8").replace("\r\n", "\n")
