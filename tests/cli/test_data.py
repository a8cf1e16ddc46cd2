from dataclasses import replace

import pytest
from typer.testing import CliRunner

from gemini_workshop.cli.data import app
from gemini_workshop.data.corpora import (
    MIRROR_VARIABLE,
    CorpusFile,
    Edition,
    corpus_names,
    find_corpus,
    load_documents,
    places,
    samples_folder,
)
from gemini_workshop.data.corpora.registry import registry
from gemini_workshop.errors import DataError


def data(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def bare_machine(tmp_path, monkeypatch):
    """Neither a mirror nor downloads."""
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr(places, "download_folder", lambda: tmp_path / "raw")
    return tmp_path / "raw"


def test_list_names_every_corpus_with_its_kind_and_licence():
    heading, *lines = data("list").splitlines()
    assert heading.split() == ["name", "holds", "here", "kB", "licence"]
    assert [line.split()[0] for line in lines] == corpus_names()
    for line in lines:
        corpus = find_corpus(line.split()[0])
        assert line.split()[1] == corpus.kind
        assert line.endswith(corpus.licence)


def test_list_tells_what_is_on_this_machine(bare_machine):
    (bare_machine / "wikitext").mkdir(parents=True)
    (bare_machine / "wikitext" / "wiki2.valid.tokens").write_text("")
    (bare_machine / "tinyshakespeare").mkdir()
    (bare_machine / "tinyshakespeare" / "input.txt").write_text("")
    here = {line.split()[0]: line.split()[2] for line in data("list").splitlines()}
    assert here["stories"] == "always"
    assert here["shakespeare"] == "yes"
    assert here["wikitext-2"] == "small"
    assert here["imdb"] == here["openwebtext"] == "no"


@pytest.mark.parametrize("name", corpus_names())
def test_info_tells_licence_source_and_what_may_be_done(name):
    output = data("info", name)
    corpus = find_corpus(name)
    assert all(text in output for text in (corpus.title, corpus.about, corpus.licence, corpus.source))
    assert ("part of the installation" in output) == corpus.is_embedded
    assert "--size small" in output


def test_info_tells_sums_addresses_and_what_is_missing(bare_machine):
    output = data("info", "mbpp")
    assert "--size all: not on this machine" in output
    assert "mbpp/mbpp.prompt-train-validation.jsonl, 270,370 bytes\n      sha256 4ed5fa40" in output
    assert "or mbpp/mbpp.jsonl, size not known\n      sha256 noted when first fetched" in output
    assert "only in a mirror" in output
    assert "weights    may be shared if trained on it for non-commercial use only" in data("info", "alpaca")
    assert "rows of Salesforce/wikitext (train)" in data("info", "wikitext-2")
    assert "streamed from Skylion007/openwebtext on the Hugging Face hub" in data("info", "openwebtext")


def test_get_shows_the_file_and_what_is_in_it():
    lines = data("get", "stories").splitlines()
    assert lines[0] == str(samples_folder() / "stories.txt")
    assert lines[1].startswith("1,000 documents, ")


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("digits", "200 images"),
        ("dial-tones", "100 audio clips"),
        ("moving-digits", "100 videos"),
        ("stories", "200 documents"),
    ],
)
def test_get_counts_what_an_embedded_corpus_holds(name, summary):
    assert data("get", name, "--size", "small").splitlines()[-1].startswith(summary)


def test_get_counts_records_and_files(bare_machine, monkeypatch):
    (bare_machine / "sst2").mkdir(parents=True)
    content = b"a fine film\t1\na poor one\t0\n"
    (bare_machine / "sst2" / "dev.tsv").write_bytes(content)
    corpus = find_corpus("sst2")
    sizes = {"small": (Edition(files=(CorpusFile(path="sst2/dev.tsv"),)),)}
    monkeypatch.setitem(registry(), "sst2", replace(corpus, sizes={**corpus.sizes, **sizes}))
    assert data("get", "sst2", "--size", "small").splitlines()[-1] == "2 records"
    assert '"text": "a fine film"' in data("sample", "sst2", "--size", "small", "-n", "2")


@pytest.mark.usefixtures("bare_machine")
def test_a_corpus_that_is_only_streamed_is_not_fetched():
    with pytest.raises(DataError, match=r"openwebtext is streamed in size all and never kept\. Use --size small"):
        data("get", "openwebtext")


@pytest.mark.usefixtures("bare_machine")
def test_offline_get_names_the_embedded_substitute():
    for name, substitute in [("emoji", "'digits'"), ("bedtime-tales", "'stories'")]:
        with pytest.raises(
            DataError, match=rf"{name} is not on this machine in size all.* embedded corpus {substitute}"
        ):
            data("get", name)


def test_a_sample_is_of_the_corpus_and_the_seed_decides_which():
    first, again, other = data("sample", "stories"), data("sample", "stories"), data("sample", "stories", "--seed", "1")
    assert first == again != other
    assert first.rstrip("\n") in load_documents("stories")


def test_a_sample_may_hold_several_documents():
    several = data("sample", "stories", "-n", "3").split("\n\n---\n\n")
    assert len({story.strip() for story in several} & set(load_documents("stories"))) == 3


@pytest.mark.parametrize(
    ("name", "beginning"), [("digits", "the digit "), ("dial-tones", "someone dials "), ("moving-digits", "a ")]
)
def test_a_sample_of_pictures_sounds_or_films_is_their_captions(name, beginning):
    assert data("sample", name, "--size", "small").startswith(beginning)


@pytest.mark.parametrize("command", ["info", "get", "sample"])
def test_an_unknown_corpus_names_the_nearest(command):
    with pytest.raises(DataError, match=r"Did you mean 'stories'\?"):
        data(command, "storis")


@pytest.mark.parametrize("command", ["list", "info", "get", "sample"])
def test_help_shows_an_example(command):
    assert f"gemini-workshop data {command}" in data(command, "--help")
