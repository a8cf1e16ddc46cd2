"""The commands rehearse, on the corpus of the training tests."""

import json

import pytest

from gemini_workshop.cli.main import app
from gemini_workshop.data import corpora
from gemini_workshop.training.rehearsal import finders
from tests.cli.test_train import settings
from tests.training import stories

testing = pytest.importorskip("typer.testing")


@pytest.fixture
def rehearse(monkeypatch, tmp_path):
    monkeypatch.setattr(corpora, "stream_documents", lambda *_: iter(stories.documents()))
    monkeypatch.chdir(tmp_path)

    def rehearse(name, *arguments, code=0):
        result = testing.CliRunner().invoke(app, ["rehearse", name, "--device", "cpu", *arguments])
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    return rehearse


def test_a_learning_rate_is_suggested_with_a_picture(rehearse, tmp_path):
    output = rehearse("learning-rate", "--steps", "40", "--picture", "rate.png", *settings())
    assert "Set learning_rate=" in output
    assert (tmp_path / "rate.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["rate.png"]


@pytest.mark.parametrize(("free", "words"), [(3e9, "batch_size=48 fits as it is"), (4e6, "--set accumulation_steps=")])
def test_a_batch_size_is_found_and_what_to_set_for_the_one_that_is_planned(rehearse, monkeypatch, free, words):
    monkeypatch.setattr(finders, "available_bytes", lambda: int(free))
    output = rehearse("batch-size", *settings("batch_size=48"))
    assert "sequences of 16 tokens fit in memory at once" in output
    assert words in output


def test_a_rehearsal_as_json(rehearse):
    found = json.loads(rehearse("one-batch", "--json", "--steps", "2", *settings(), code=1))
    assert (found["has_learned"], len(found["losses"])) == (False, 2)
    assert found["diagnosis"].startswith("Not memorised")
    found = json.loads(rehearse("batch-size", "--json", *settings("batch_size=48")))
    assert found["batch_size"] == 48
    assert found["largest"] > 0
    found = json.loads(rehearse("learning-rate", "--json", "--steps", "10", "--picture", "rate.png", *settings()))
    assert found["suggestion"] in found["rates"]
    assert found["picture"] == "rate.png"


def test_one_batch_is_memorised_or_the_exit_code_is_one(rehearse):
    assert "Memorised" in rehearse("one-batch", "--sequences", "1", *settings("learning_rate=0.01"))
    assert "Not memorised" in rehearse("one-batch", "--steps", "2", *settings(), code=1)
