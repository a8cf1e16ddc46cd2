"""Where the files of a corpus are: in the installation, in a mirror, among the downloads, or on a server."""

import os
from pathlib import Path

import gemini_workshop.paths
from gemini_workshop.data.corpora.hub import keep_rows
from gemini_workshop.data.corpora.registry import Corpus, CorpusFile, Edition, find_corpus
from gemini_workshop.data.download import download, verify
from gemini_workshop.errors import DataError, unknown_name

MIRROR_VARIABLE = "GEMINI_WORKSHOP_MIRROR"
EMBEDDED_SUBSTITUTES = {
    "text": "use the embedded corpus 'stories'",
    "records": "use the embedded corpus 'stories'",
    "images": "use the embedded corpus 'digits'",
    "audio": "use the embedded corpus 'dial-tones'",
    "videos": "use the embedded corpus 'moving-digits'",
    "vocabulary": "train a tokenizer on the embedded corpus 'stories'",
}


def corpus_files(name: str, size: str = "all") -> list[Path]:
    """The checked files of a corpus on this machine, fetched if need be.

    Raises:
        DataError: there is no such corpus or size, it cannot be had here, or a file of it is damaged.
    """
    return find_edition(find_corpus(name), size)[1]


def find_edition(corpus: Corpus, size: str) -> tuple[Edition, list[Path]]:
    """The best edition that can be had here, and its checked files. Raises as :func:`corpus_files`."""
    found = find_here(corpus, size)
    if found is None:
        return _fetch(corpus, size)
    edition, paths = found
    if not corpus.is_embedded:
        for file, path in zip(edition.files, paths, strict=True):
            verify(path, file.sha256, file.repacked)
    return edition, paths


def find_here(corpus: Corpus, size: str) -> tuple[Edition, list[Path]] | None:
    """The best edition whose files are all on this machine, unchecked; None if there is none.

    Raises:
        DataError: there is no such size, or the mirror is not a folder.
    """
    if size not in corpus.sizes:
        raise DataError(unknown_name(f"size of {corpus.name} called", size, corpus.sizes))
    editions = corpus.sizes[size]
    if corpus.is_embedded:
        return editions[0], [samples_folder() / file.path for file in editions[0].files]
    if editions[0].stream:
        return editions[0], []
    for root in _roots():
        for edition in editions:
            paths = [root / file.path for file in edition.files]
            if all(path.is_file() for path in paths):
                return edition, paths
    return None


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


def _roots() -> list[Path]:
    mirror = os.environ.get(MIRROR_VARIABLE)
    if mirror and not Path(mirror).is_dir():
        raise DataError(f"{MIRROR_VARIABLE}={mirror} is not a folder. Name one that exists, or unset the variable.")
    return [*([Path(mirror)] if mirror else []), download_folder()]


def _fetch(corpus: Corpus, size: str) -> tuple[Edition, list[Path]]:
    editions = corpus.sizes[size]
    fetchable = [edition for edition in editions if all(file.is_fetchable for file in edition.files)]
    if not fetchable:
        raise DataError(_missing(corpus, size, "It cannot be downloaded as it is."))
    paths = [download_folder() / file.path for file in fetchable[0].files]
    for file, path in zip(fetchable[0].files, paths, strict=True):
        try:
            _fetch_file(file, path)
        except DataError as error:
            raise DataError(_missing(corpus, size, str(error))) from None
    return fetchable[0], paths


def _fetch_file(file: CorpusFile, path: Path) -> None:
    if file.hub:
        keep_rows(file.hub, path)
    else:
        download(file.url, path, file.sha256)


def _missing(corpus: Corpus, size: str, reason: str) -> str:
    wanted = " and ".join(file.path for file in corpus.sizes[size][0].files)
    others = [other for other in corpus.sizes if other != size and find_here(corpus, other)]
    here = f" What is here of it is --size {others[0]}." if others else ""
    return (
        f"The corpus {corpus.name} is not on this machine in size {size}. {reason}{here} Offline, "
        f"{EMBEDDED_SUBSTITUTES[corpus.kind]}, or set {MIRROR_VARIABLE} to a folder that holds {wanted}."
    )
