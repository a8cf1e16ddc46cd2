import ast
import contextlib
import gzip
import hashlib
import itertools
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from gemini_workshop import paths
from gemini_workshop.data import corpora
from gemini_workshop.data.corpora import (
    MIRROR_VARIABLE,
    CorpusFile,
    Edition,
    HubRows,
    corpus_files,
    corpus_names,
    find_corpus,
    load_documents,
    load_records,
    places,
    samples_folder,
    stream_documents,
)
from gemini_workshop.data.corpora.documents import split_into_articles, split_into_passages
from gemini_workshop.data.corpora.registry import Kind, Weights, registry
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
    editions = (Edition(files=(mirrored,)), Edition(files=(published,), num_items=2))
    corpus = replace(find_corpus("tinystories"), name="toy", sizes={"small": editions, "all": editions})
    monkeypatch.setitem(registry(), "toy", corpus)
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr(places, "download_folder", lambda: tmp_path / "raw")
    return corpus


@pytest.fixture
def toy_rows(tmp_path, monkeypatch):
    """A corpus of rows, read by the real library from a folder of this machine instead of the hub."""
    folder = tmp_path / "hub"
    folder.mkdir()
    rows = [{"text": f"Row {i}.\nIts end.", "url": "x"} for i in range(5)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    hub = HubRows(path=str(folder))
    small = CorpusFile(path="toy-rows/first-3.jsonl", hub=replace(hub, rows=3))
    sizes = {"small": (Edition(files=(small,)),), "all": (Edition(stream=hub),)}
    corpus = replace(find_corpus("openwebtext"), name="toy-rows", sizes=sizes)
    monkeypatch.setitem(registry(), "toy-rows", corpus)
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr(places, "download_folder", lambda: tmp_path / "raw")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
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
        assert all([corpus.title, corpus.about, corpus.licence, corpus.source])
        assert list(corpus.sizes) == ["small", "all"]
        assert corpus.kind in get_args(Kind)
        assert corpus.weights in get_args(Weights)
        assert corpus.is_embedded or all(
            edition.files or edition.stream for editions in corpus.sizes.values() for edition in editions
        )


def test_the_registry_names_the_sets_of_the_field():
    names = """stories digits dial-tones moving-digits tinystories wikitext-2 wikitext-103 openwebtext smollm-corpus
    shakespeare war-and-peace imdb alpaca humaneval mbpp mnist fashion-mnist spoken-digits emoji gpt2-bpe"""
    assert set(names.split()) <= set(corpus_names())


def test_the_guide_lists_every_corpus_as_the_registry_has_it():
    guide = (Path(corpora.__file__).parents[3] / "docs" / "data.md").read_text("utf-8")
    rows = [line for line in guide.partition("## In Python")[0].splitlines() if line.startswith("| `")]
    assert rows == [f"| `{name}` | {c.kind} | {c.licence} | {c.weights} |" for name, c in registry().items()]


def test_sums_and_addresses_are_well_formed():
    for corpus in registry().values():
        for edition in itertools.chain(*corpus.sizes.values()):
            for file in edition.files:
                assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
                assert not file.url or file.url.startswith("https://")
                assert not Path(file.path).is_absolute()
                assert ".." not in Path(file.path).parts


def test_every_corpus_can_be_had_without_a_mirror_save_those_collected_for_one():
    def can_be_had(corpus):
        return corpus.is_embedded or all(
            any(edition.stream or all(file.is_fetchable for file in edition.files) for edition in editions)
            for editions in corpus.sizes.values()
        )

    collected = {name for name, corpus in registry().items() if not can_be_had(corpus)}
    assert collected == {"bedtime-tales", "fairy-tales", "emoji", "twemoji", "openmoji", "lucide"}


def test_a_corpus_of_another_kind_says_how_to_read_it():
    with pytest.raises(DataError, match=r"humaneval holds records, not text. Read it with load_records\('humaneval'\)"):
        load_documents("humaneval")
    with pytest.raises(DataError, match=r"stories holds text, not records. Read it with load_documents"):
        load_records("stories")


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
def test_a_folder_of_downloads_serves_as_a_mirror(server, tmp_path, monkeypatch):
    load_documents("toy")
    (tmp_path / "raw").rename(tmp_path / "copy")
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path / "copy"))
    assert load_documents("toy") == ["Three.", "Four."]
    assert server.asked == [None]


@pytest.mark.usefixtures("toy")
def test_a_damaged_file_of_the_mirror_is_an_error(mirror):
    (mirror / "toy" / "slice.txt.gz").write_bytes(SLICE[:-1])
    with pytest.raises(DataError, match=rf"slice\.txt\.gz is damaged: .*not {sha256(SLICE)}"):
        load_documents("toy")


def test_a_file_of_the_mirror_may_be_packed_in_another_way(toy, mirror, monkeypatch):
    (file,) = toy.sizes["all"][0].files
    for sums, is_right in ({"sha256": "0" * 64, "repacked": file.sha256}, True), ({"sha256": "0" * 64}, False):
        edition = Edition(files=(replace(file, **sums),))
        monkeypatch.setitem(registry(), "toy", replace(toy, sizes={"small": (edition,), "all": (edition,)}))
        with contextlib.nullcontext() if is_right else pytest.raises(DataError, match="is damaged"):
            assert len(load_documents("toy")) == 2


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
        DataError, match=rf"corpus toy is not on .*Not Found.*'stories', or set {MIRROR_VARIABLE} .*slice\.txt\.gz"
    ):
        load_documents("toy")


@pytest.mark.usefixtures("toy")
def test_a_mirror_that_is_no_folder_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=rf"{MIRROR_VARIABLE}=.*nowhere is not a folder"):
        load_documents("toy")


def test_the_folder_of_downloads_is_ignored_by_git():
    repository = Path(corpora.__file__).parents[3]
    folder = corpora.download_folder()
    assert folder == repository / "data" / "raw"
    assert "data/raw/" in (repository / ".gitignore").read_text("utf-8").splitlines()


def test_an_installed_wheel_downloads_below_its_home(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site-packages" / "gemini_workshop")
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path / "home"))
    assert corpora.download_folder() == tmp_path / "home" / "data"


def test_an_installed_wheel_finds_the_samples_it_brought(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site-packages" / "gemini_workshop")
    with pytest.raises(DataError, match=r"embedded samples are not in .*Install the package again"):
        samples_folder()
    folder = paths.PACKAGE / "samples"
    folder.mkdir(parents=True)
    (folder / "stories.txt").write_text("A story.", "utf-8")
    assert samples_folder() == folder
    assert load_documents("stories") == ["A story."]


def test_stories_need_no_mirror_even_if_one_is_set_wrongly(monkeypatch):
    monkeypatch.setenv(MIRROR_VARIABLE, "nowhere")
    assert len(load_documents("stories")) > 500


def test_offline_the_error_names_the_size_that_is_here(monkeypatch, tmp_path, toy, mirror):
    other = Edition(files=(CorpusFile(path="toy/more.txt"),))
    monkeypatch.setitem(registry(), "toy", replace(toy, sizes={"small": toy.sizes["all"], "all": (other,)}))
    with pytest.raises(DataError, match=r"cannot be downloaded as it is\. What is here of it is --size small\."):
        load_documents("toy")
    assert load_documents("toy", "small") == ["One.", "Two.\n\nStill two."]


def test_rows_of_the_hub_are_kept_once_and_checked(toy_rows, tmp_path):
    documents = [f"Row {i}.\nIts end." for i in range(3)]
    assert load_documents("toy-rows", "small") == documents
    shutil.rmtree(tmp_path / "hub")
    assert load_documents("toy-rows", "small") == documents
    (path,) = corpus_files("toy-rows", "small")
    assert json.loads(path.read_text().splitlines()[0]) == {"text": documents[0], "url": "x"}
    path.write_text(path.read_text() + "\n")
    with pytest.raises(DataError, match="is damaged"):
        load_documents("toy-rows", "small")


def test_a_corpus_larger_than_memory_is_streamed_only(toy_rows):
    assert next(iter(stream_documents("toy-rows"))) == "Row 0.\nIts end."
    assert len(list(stream_documents("toy-rows"))) == 5
    with pytest.raises(DataError, match=r"too large for a list in size all.*stream_documents\('toy-rows'\)"):
        load_documents("toy-rows")


def test_a_hub_that_fails_keeps_nothing_and_names_the_way_out(toy_rows, tmp_path):
    shutil.rmtree(tmp_path / "hub")
    with pytest.raises(DataError, match=r"corpus toy-rows is not on .*could not be read from .*'stories', or set"):
        load_documents("toy-rows", "small")
    assert not list((tmp_path / "raw" / "toy-rows").glob("*"))


def test_a_stream_is_read_line_by_line():
    read = []

    def lines():
        for line in ["One.", "", *["Two.", ""] * 30]:
            read.append(line)
            yield line

    assert next(split_into_passages(lines())).startswith("One.")
    assert len(read) <= 202  # the head in which Project Gutenberg's frame would be


def test_a_passage_is_twenty_speeches():
    text = "\n\n".join(f"KING:\nLine {i}." for i in range(41))
    passages = list(split_into_passages(text.split("\n")))
    assert [passage.count("KING") for passage in passages] == [20, 20, 1]
    assert "\n\n".join(passages) == text


def test_a_passage_leaves_out_what_project_gutenberg_adds():
    book = ["Title", "", "*** START OF THE PROJECT GUTENBERG EBOOK X ***", "", "It began.", "", "It ended."]
    frame = [*book, "", "*** END OF THE PROJECT GUTENBERG EBOOK X ***", "Licence"]
    assert list(split_into_passages(frame)) == ["It began.\n\nIt ended."]
    assert list(split_into_passages(["It began.", "", "It ended."])) == ["It began.\n\nIt ended."]


def test_an_article_begins_with_its_title_and_keeps_its_sections():
    text = " \n = One = \n\n Text . \n = = Part = = \n More . \n = Two = \n End . \n"
    assert list(split_into_articles(text.split("\n"))) == [
        "= One = \n\n Text . \n = = Part = = \n More .",
        "= Two = \n End .",
    ]


def test_the_library_of_python_is_code_and_prose():
    source = list(itertools.islice(stream_documents("python-source"), 12))
    assert all(ast.parse(module) is not None for module in source)
    assert len(set(load_documents("python-source", "small"))) > 40
    docs = load_documents("python-docs", "small")
    assert any("assert" in document and "AssertionError" in document for document in docs)


@pytest.mark.skipif(not MIRROR, reason=f"{MIRROR_VARIABLE} is not set")
@pytest.mark.parametrize(
    ("name", "size", "num_documents"), [("tinystories", "small", 1500), ("tinystories", "all", 37865)]
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


@pytest.mark.skipif(not MIRROR, reason=f"{MIRROR_VARIABLE} is not set")
@pytest.mark.parametrize("name", [name for name in corpus_names() if not find_corpus(name).is_embedded])
def test_the_files_of_the_mirror_are_those_of_the_registry(name):
    in_mirror = {
        file.path: file
        for edition in itertools.chain(*find_corpus(name).sizes.values())
        for file in edition.files
        if (Path(MIRROR) / file.path).is_file()
    }
    for file in in_mirror.values():
        content = (Path(MIRROR) / file.path).read_bytes()
        if sha256(content) != file.repacked:
            assert (len(content), sha256(content)) == (file.num_bytes, file.sha256)


@pytest.mark.skipif(not MIRROR, reason=f"{MIRROR_VARIABLE} is not set")
@pytest.mark.parametrize(
    ("name", "size", "number"),
    [
        ("wikitext-2", "small", 60),
        ("wikitext-103", "small", 162),
        ("bedtime-tales", "all", 2046),
        ("fairy-tales", "all", 2323),
    ],
)
def test_texts_of_the_mirror_have_as_many_documents_as_described(name, size, number):
    assert sum(1 for _ in stream_documents(name, size)) == number
    assert f"{number:,}" in find_corpus(name).about


@pytest.mark.skipif(not MIRROR, reason=f"{MIRROR_VARIABLE} is not set")
@pytest.mark.parametrize(
    ("name", "size", "number", "fields"),
    [
        ("humaneval", "all", 164, {"prompt", "canonical_solution", "test", "entry_point"}),
        ("mbpp", "all", 474, {"text", "code", "test_list"}),
        ("alpaca", "all", 3000, {"instruction", "input", "output"}),
        ("instruction-data", "all", 1100, {"instruction", "input", "output"}),
        ("imdb", "small", 1000, {"text", "label"}),
        ("sst2", "small", 872, {"text", "label"}),
    ],
)
def test_the_records_of_the_mirror_have_their_fields(name, size, number, fields):
    records = load_records(name, size)
    assert len(records) == number
    assert f"{number:,}" in find_corpus(name).about
    assert all(record.keys() >= fields for record in records)


@pytest.mark.skipif(not MIRROR, reason=f"{MIRROR_VARIABLE} is not set")
@pytest.mark.parametrize("name", ["the-verdict", "war-and-peace", "pride-and-prejudice", "moby-dick"])
def test_a_book_of_the_mirror_has_as_many_words_as_described(name):
    num_words = sum(len(document.split()) for document in stream_documents(name))
    assert f"{num_words:,} words" in find_corpus(name).about
