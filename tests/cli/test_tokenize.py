import json
import os

import pytest
from typer.testing import CliRunner

from gemini_workshop.cli.data import app
from gemini_workshop.data.batches.reading import split_documents
from gemini_workshop.data.batches.shards import TokenShards
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import DataError
from tests.data.batches.sharded import contents


def tokenize(*arguments) -> str:
    command = ["tokenize", *map(str, arguments), "--processes", "1"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def texts_of(shards):
    text = shards.load_tokenizer().decode(shards.tokens(0, shards.num_tokens).tolist())
    return text.split("<|endoftext|>")[:-1]


@pytest.fixture
def files(tmp_path):
    """Two files of documents, of both kinds."""
    texts = [f"Hen number {i} saw {i * i} birds." for i in range(40)]
    (tmp_path / "some.txt").write_text("\n<|endoftext|>\n".join(texts[:25]), "utf-8")
    (tmp_path / "more.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts[25:]), "utf-8")
    return texts, [tmp_path / "some.txt", tmp_path / "more.jsonl"]


def test_a_corpus_becomes_two_sides_of_shards_with_a_tokenizer_learned_from_one(tmp_path):
    output = tokenize("stories", "--vocab-size", "300", "--out", tmp_path)
    train, validation = split_documents(load_documents("stories"), 0.05)
    assert texts_of(TokenShards(tmp_path / "train")) == train
    assert texts_of(TokenShards(tmp_path / "validation")) == validation
    BPETokenizer.train(train, 300).save(tmp_path / "expected.json")
    for side in ("train", "validation"):
        assert (tmp_path / side / "tokenizer.json").read_bytes() == (tmp_path / "expected.json").read_bytes()
    assert f"train: {len(train)} documents, " in output


def test_files_become_one_set_where_no_split_is_wanted(files, tmp_path):
    texts, paths = files
    tokenize(*paths, "--vocab-size", "270", "--validation-fraction", "0", "--out", tmp_path / "all")
    assert texts_of(TokenShards(tmp_path / "all")) == texts


def test_a_second_call_changes_nothing_and_finds_the_tokenizer_again(files, tmp_path):
    command = [*files[1], "--validation-fraction", "0.3", "--out", tmp_path / "out"]
    tokenize(*command, "--vocab-size", "270")
    before = contents(tmp_path / "out")
    tokenize(*command)
    assert contents(tmp_path / "out") == before


def test_a_tokenizer_can_be_given(files, tmp_path):
    tokenizer = BPETokenizer.train(["abc"], 257)
    tokenizer.save(tmp_path / "own.json")
    tokenize(*files[1], "--tokenizer", tmp_path / "own.json", "--validation-fraction", "0.3", "--out", tmp_path / "out")
    assert TokenShards(tmp_path / "out" / "train", tokenizer).vocab_size == 257


@pytest.mark.skipif("GEMINI_WORKSHOP_MIRROR" not in os.environ, reason="the vocabulary is not embedded")
def test_a_published_vocabulary_can_be_given(files, tmp_path):
    tokenize(*files[1], "--tokenizer", "gpt2", "--validation-fraction", "0", "--out", tmp_path / "out")
    shards = TokenShards(tmp_path / "out")
    assert (shards.vocab_size, shards.headers[0].dtype.str) == (50257, "<u2")
    assert texts_of(shards) == files[0]


def test_a_vocabulary_of_another_size_than_the_tokenizer_given_is_an_error(files, tmp_path):
    BPETokenizer.train(["abc"], 257).save(tmp_path / "own.json")
    with pytest.raises(DataError, match=r"own\.json has vocab_size=257, not 300. Remove --vocab-size"):
        tokenize(*files[1], "--tokenizer", tmp_path / "own.json", "--vocab-size", "300", "--out", tmp_path / "out")


def test_what_is_neither_file_nor_corpus_names_the_nearest(tmp_path):
    with pytest.raises(DataError, match=r"'storis'\. Did you mean 'stories'\?"):
        tokenize("storis", "--out", tmp_path)


def test_help_shows_an_example():
    result = CliRunner().invoke(app, ["tokenize", "--help"])
    assert "gemini-workshop data tokenize stories --out shards/stories" in result.output
