"""The command evaluate, from a checkpoint to its table."""

import json

import pytest

from gemini_workshop.cli.main import app
from gemini_workshop.data import corpora
from gemini_workshop.data.sharding import write_shards
from gemini_workshop.data.tokenizer import BPETokenizer
from gemini_workshop.errors import CheckpointError, DataError, WorkshopError
from tests.training import stories

testing = pytest.importorskip("typer.testing")


@pytest.fixture
def command(monkeypatch):
    monkeypatch.setattr(corpora, "load_documents", stories.documents)

    def command(*arguments):
        result = testing.CliRunner().invoke(app, ["evaluate", "--device", "cpu", *map(str, arguments)])
        if isinstance(result.exception, WorkshopError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return command


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    run = stories.start(tmp_path_factory.mktemp("run"))
    run.save(1, {})
    return run


def test_a_run_is_measured_on_the_documents_that_it_did_not_learn_from(command, checkpoint):
    output = command(checkpoint.folder, "--corpus", "few", "--stride", 3)
    predicted = len(checkpoint.text.validation_ids) - 1
    assert f"{predicted:,} tokens predicted, {checkpoint.text.validation_bytes:,} bytes" in output
    for name in ("uniform", "unigram", "bigram", "model, end to end", "model, stride 3"):
        assert f"\n{name} " in output


def test_shares_add_up(command, checkpoint):
    counts = {
        share: json.loads(command(checkpoint.folder, "--corpus", "few", "--share", share, "--json"))["num_bytes"]
        for share in ("train", "validation", "all")
    }
    assert counts["train"] + counts["validation"] == counts["all"]


def test_a_folder_of_shards_is_read_as_it_is_if_its_tokenizer_is_the_model_s(command, checkpoint, tmp_path):
    write_shards(stories.documents(), checkpoint.text.tokenizer, tmp_path / "shards")
    result = json.loads(command(checkpoint.folder, "--corpus", tmp_path / "shards", "--json"))
    assert [score["name"] for score in result["scores"]][:3] == ["uniform", "unigram", "bigram"]
    write_shards(stories.documents(), BPETokenizer.train(stories.documents(), 260), tmp_path / "others")
    with pytest.raises(DataError, match=r"tokenizer with vocab_size=260 .*not of this one with vocab_size=270"):
        command(checkpoint.folder, "--corpus", tmp_path / "others")


def test_an_empty_share_is_refused(command, checkpoint, monkeypatch):
    monkeypatch.setattr(corpora, "load_documents", lambda *_: [])
    with pytest.raises(DataError, match="validation share of few holds no documents"):
        command(checkpoint.folder, "--corpus", "few")


def test_an_unknown_checkpoint_is_refused(command):
    with pytest.raises(CheckpointError, match="no checkpoint 'stories-smal'"):
        command("stories-smal")
