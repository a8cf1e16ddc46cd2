import gzip
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from gemini_workshop import paths
from gemini_workshop.data import corpora
from gemini_workshop.data.corpora import (
    MIRROR_VARIABLE,
    SHAKESPEARE,
    TINYSTORIES,
    CorpusFile,
    Edition,
    corpus_files,
    corpus_names,
    find_corpus,
    load_documents,
    samples_folder,
    split_at_end_of_text,
    split_into_passages,
)
from gemini_workshop.errors import DataError

SLICE = gzip.compress(b"One.\n<|endoftext|>\nTwo.\n\nStill two.\n<|endoftext|>\n", mtime=0)
MIRROR = os.environ.get(MIRROR_VARIABLE)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def toy(tmp_path, monkeypatch, server):
    """A corpus with a mirror's slice and a file to download, registered for one test, on a machine with neither."""
    server.content = b"Three.\r\n<|endoftext|>\r\nFour.<|endoftext|>Five."
    mirrored = CorpusFile(path="toy/slice.txt.gz", sha256=sha256(SLICE))
    published = CorpusFile(path="toy/whole.txt", url=server.url)
    editions = (Edition(files=(mirrored,)), Edition(files=(published,), num_documents=2))
    corpus = replace(TINYSTORIES, name="toy", sizes={"all": editions})
    monkeypatch.setitem(corpora._CORPORA, "toy", corpus)
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr(corpora, "download_folder", lambda: tmp_path / "raw")
    return corpus


@pytest.fixture
def mirror(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "mirror"
    (folder / "toy").mkdir(parents=True)
    (folder / "toy" / "slice.txt.gz").write_bytes(SLICE)
    monkeypatch.setenv(MIRROR_VARIABLE, str(folder))
    return folder


def test_every_corpus_has_its_papers():
    for name in corpus_names():
        corpus = find_corpus(name)
        assert corpus.name == name
        assert all([corpus.title, corpus.about, corpus.licence, corpus.source, "all" in corpus.sizes])


def test_every_corpus_that_is_not_embedded_can_be_downloaded():
    for corpus in (TINYSTORIES, SHAKESPEARE):
        for editions in corpus.sizes.values():
            assert any(all(file.url.startswith("https://") for file in edition.files) for edition in editions)


def test_an_unknown_corpus_names_the_nearest():
    with pytest.raises(DataError, match=r"no corpus 'storys'. Did you mean 'stories'"):
        load_documents("storys")


def test_an_unknown_size_names_the_nearest():
    with pytest.raises(
        DataError, match=r"no size of tinystories called 'smal'. Did you mean 'small'\? Known: small, all"
    ):
        load_documents("tinystories", "smal")


@pytest.mark.usefixtures("toy", "mirror")
def test_the_mirror_is_read_first(server):
    assert load_documents("toy") == ["One.", "Two.\n\nStill two."]
    assert server.asked == []


@pytest.mark.usefixtures("toy")
def test_what_the_mirror_lacks_is_downloaded_once(server, tmp_path, mirror):
    (mirror / "toy" / "slice.txt.gz").unlink()
    assert load_documents("toy") == ["Three.", "Four."]
    assert load_documents("toy") == ["Three.", "Four."]
    assert server.asked == [None]
    assert corpus_files("toy") == [tmp_path / "raw" / "toy" / "whole.txt"]


@pytest.mark.usefixtures("toy")
def test_a_damaged_file_of_the_mirror_is_an_error(mirror):
    (mirror / "toy" / "slice.txt.gz").write_bytes(SLICE[:-1])
    with pytest.raises(DataError, match=rf"slice\.txt\.gz is damaged: .*not {sha256(SLICE)}"):
        load_documents("toy")


@pytest.mark.usefixtures("toy")
def test_a_download_without_a_published_sum_is_checked_by_the_one_noted(tmp_path):
    load_documents("toy")
    path = tmp_path / "raw" / "toy" / "whole.txt"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DataError, match=r"whole\.txt is damaged"):
        load_documents("toy")


@pytest.mark.usefixtures("toy")
def test_offline_the_error_names_the_embedded_corpus_and_the_mirror(server):
    server.missing = True
    with pytest.raises(
        DataError, match=rf"corpus toy is not on .*'stories', or set {MIRROR_VARIABLE} .*slice\.txt\.gz"
    ):
        load_documents("toy")


@pytest.mark.usefixtures("toy")
def test_a_mirror_that_is_no_folder_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=rf"{MIRROR_VARIABLE}=.*nowhere is not a folder"):
        load_documents("toy")


def test_the_folder_of_downloads_is_ignored_by_git():
    repository = Path(corpora.__file__).parents[2]
    folder = corpora.download_folder()
    assert folder == repository / "data" / "raw"
    assert "data/raw/" in (repository / ".gitignore").read_text("utf-8").splitlines()


def test_an_installed_wheel_downloads_below_its_home(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site-packages" / "gemini_workshop")
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path / "home"))
    assert corpora.download_folder() == tmp_path / "home" / "data"


def test_an_installed_wheel_finds_the_samples_it_brought(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site-packages" / "gemini_workshop")
    monkeypatch.setattr(paths.sysconfig, "get_path", lambda name, _scheme: str(tmp_path / name))
    with pytest.raises(DataError, match=r"embedded samples are not in .*Install the package again"):
        samples_folder()
    folder = tmp_path / "data" / "share" / "gemini_workshop" / "samples"
    folder.mkdir(parents=True)
    (folder / "stories.txt").write_text("A story.", "utf-8")
    assert samples_folder() == folder
    assert load_documents("stories") == ["A story."]


def test_stories_need_no_mirror_even_if_one_is_set_wrongly(monkeypatch):
    monkeypatch.setenv(MIRROR_VARIABLE, "nowhere")
    assert len(load_documents("stories")) > 500


def test_documents_end_at_the_end_of_text():
    assert split_at_end_of_text("a\n<|endoftext|>\n\n<|endoftext|> b\nc") == ["a", "b\nc"]


def test_a_passage_is_twenty_speeches():
    text = "\n\n".join(f"KING:\nLine {i}." for i in range(41))
    passages = split_into_passages(text)
    assert [passage.count("KING") for passage in passages] == [20, 20, 1]
    assert "\n\n".join(passages) == text


@pytest.mark.skipif(not MIRROR, reason=f"{MIRROR_VARIABLE} is not set")
@pytest.mark.parametrize(
    ("name", "size", "num_documents"), [("tinystories", "small", 1500), ("tinystories", "all", 9064)]
)
def test_the_mirror_holds_what_the_description_says(name, size, num_documents):
    documents = load_documents(name, size)
    assert len(documents) == num_documents
    assert f"{num_documents:,}" in find_corpus(name).about
    assert len(set(documents)) == num_documents


@pytest.mark.skipif(not MIRROR, reason=f"{MIRROR_VARIABLE} is not set")
def test_the_mirror_holds_shakespeare():
    documents = load_documents("shakespeare")
    assert documents[0].startswith("First Citizen:\nBefore we proceed")
    assert sum(len(document) for document in documents) > 1_100_000
