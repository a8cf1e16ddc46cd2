"""The registry: ``registry.yaml`` as values."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from gemini_workshop.errors import DataError, unknown_name

Kind = Literal["text", "records", "images", "audio", "videos", "vocabulary"]
Weights = Literal["yes", "attribution", "non-commercial", "unclear"]

LOADERS: dict[str, str] = {
    "text": "load_documents",
    "records": "load_records",
    "images": "gemini_workshop.data.media.images.load_images",
    "audio": "gemini_workshop.data.media.audio.load_audio",
    "videos": "gemini_workshop.data.media.video.load_videos",
    "vocabulary": "corpus_files",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class HubRows:
    """Rows of a data set on the Hugging Face hub, read as a stream by ``datasets``.

    Args:
        path: its name there, or a folder of this machine.
        subset: which of its configurations; None if it has but one.
        rows: how many from the beginning; None: all.
    """

    path: str
    subset: str | None = None
    split: str = "train"
    rows: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusFile:
    """One file of a corpus.

    Args:
        path: below the mirror, and below the folder of downloads.
        num_bytes: its size, where known.
        sha256: its sum; None if it is not known, so that ours is taken when the file is first fetched.
        url: where it can be downloaded by itself; empty for what only a mirror has.
        repacked: the sum of the same content compressed again, which is accepted, too.
        hub: the rows to write to it, one JSON object per line, if it is fetched that way.
    """

    path: str
    num_bytes: int | None = None
    sha256: str | None = None
    repacked: str | None = None
    url: str = ""
    hub: HubRows | None = None

    @property
    def is_fetchable(self) -> bool:
        """Whether it can be had without a mirror."""
        return bool(self.url or self.hub)


@dataclass(frozen=True, kw_only=True, slots=True)
class Edition:
    """Files that hold a corpus in one size, and how many of their items to use (None: all), or rows to stream."""

    files: tuple[CorpusFile, ...] = ()
    num_items: int | None = None
    stream: HubRows | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """A collection with its papers.

    Args:
        weights: whether weights trained on it may be shared, as far as its licence shows.
        source: where it was first published.
        reader: how its files become items.
        sizes: for each size, the editions that serve, the preferred one first. Editions of one size need not hold the
            same items: results of two machines are comparable when both read the same edition.
        is_embedded: part of the installation; needs neither mirror nor download.
    """

    name: str
    title: str
    kind: Kind
    about: str
    licence: str
    weights: Weights
    source: str
    reader: str
    sizes: dict[str, tuple[Edition, ...]]
    is_embedded: bool = False


@functools.cache
def registry() -> dict[str, Corpus]:
    """All corpora by name, in the order of ``registry.yaml``."""
    content = yaml.safe_load(Path(__file__).with_name("registry.yaml").read_text("utf-8"))
    files = {path: _file(path, entry) for path, entry in content["files"].items()}
    return {name: _corpus(name, entry, files) for name, entry in content["corpora"].items()}


def corpus_names(kind: Kind | None = None) -> list[str]:
    """The corpora that :func:`find_corpus` knows, or those of one kind; the first is embedded."""
    return [name for name, corpus in registry().items() if kind in (None, corpus.kind)]


def find_corpus(name: str, kind: Kind | None = None) -> Corpus:
    """The corpus of that name.

    Args:
        kind: what it must hold.

    Raises:
        DataError: there is none, the message then names the nearest; or it holds something else.
    """
    if name not in registry():
        raise DataError(unknown_name("corpus", name, registry()))
    corpus = registry()[name]
    if kind not in (None, corpus.kind):
        raise DataError(f"{name} holds {corpus.kind}, not {kind}. Read it with {LOADERS[corpus.kind]}({name!r}).")
    return corpus


def _file(path: str, entry: dict[str, Any]) -> CorpusFile:
    hub = HubRows(**entry["hub"]) if "hub" in entry else None
    return CorpusFile(
        path=path,
        num_bytes=entry.get("bytes"),
        sha256=entry.get("sha256"),
        repacked=entry.get("repacked"),
        url=entry.get("url", ""),
        hub=hub,
    )


def _corpus(name: str, entry: dict[str, Any], files: dict[str, CorpusFile]) -> Corpus:
    fields = dict(entry)
    sizes = {size: tuple(_edition(edition, files) for edition in editions) for size, editions in entry["sizes"].items()}
    fields["sizes"] = {"small": sizes["all"], **sizes}
    return Corpus(name=name, is_embedded=fields.pop("embedded", False), **fields)


def _edition(entry: dict[str, Any], files: dict[str, CorpusFile]) -> Edition:
    stream = HubRows(**entry["stream"]) if "stream" in entry else None
    chosen = tuple(files[path] for path in entry.get("files", []))
    return Edition(files=chosen, num_items=entry.get("first"), stream=stream)
