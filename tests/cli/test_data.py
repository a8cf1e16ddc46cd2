import pytest
from typer.testing import CliRunner

from gemini_workshop.cli.data import app
from gemini_workshop.data.corpora import corpus_names, find_corpus, load_documents, samples_folder
from gemini_workshop.errors import DataError


def data(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_list_names_every_corpus_with_its_licence():
    lines = data("list").splitlines()
    assert [line.split()[0] for line in lines] == corpus_names()
    assert all(line.endswith(find_corpus(line.split()[0]).licence) for line in lines)


@pytest.mark.parametrize("name", corpus_names())
def test_info_tells_licence_source_and_place(name):
    output = data("info", name)
    corpus = find_corpus(name)
    assert all(text in output for text in (corpus.title, corpus.about, corpus.licence, corpus.source))
    assert ("part of the installation" in output) == corpus.is_embedded


def test_get_shows_the_file_and_what_is_in_it():
    lines = data("get", "stories").splitlines()
    assert lines[0] == str(samples_folder() / "stories.txt")
    assert lines[1].startswith("1,000 documents, ")


def test_a_sample_is_of_the_corpus_and_the_seed_decides_which():
    first, again, other = data("sample", "stories"), data("sample", "stories"), data("sample", "stories", "--seed", "1")
    assert first == again != other
    assert first.rstrip("\n") in load_documents("stories")


def test_a_sample_may_hold_several_documents():
    several = data("sample", "stories", "-n", "3").split("\n\n---\n\n")
    assert len({story.strip() for story in several} & set(load_documents("stories"))) == 3


@pytest.mark.parametrize("command", ["info", "get", "sample"])
def test_an_unknown_corpus_names_the_nearest(command):
    with pytest.raises(DataError, match=r"Did you mean 'stories'\?"):
        data(command, "storis")


@pytest.mark.parametrize("command", ["list", "info", "get", "sample"])
def test_help_shows_an_example(command):
    assert f"gemini-workshop data {command}" in data(command, "--help")
