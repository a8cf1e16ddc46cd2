import hashlib

import pytest
import torch
from safetensors.torch import load

from gemini_workshop import checkpoint
from gemini_workshop.authoring import publish
from gemini_workshop.checkpoint import find_checkpoint, load_pretrained
from gemini_workshop.data import corpora
from gemini_workshop.data.corpora import find_corpus
from tests.training import stories


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "stream_documents", lambda *_: iter(stories.documents()))
    run = stories.start(tmp_path / "run")
    stories.finish(run)
    monkeypatch.setattr(publish, "find_corpus", lambda _: find_corpus("stories"))
    (tmp_path / "few.txt").write_bytes(b"The cat saw 3 birds.")
    monkeypatch.setattr(publish, "corpus_files", lambda *_: [tmp_path / "few.txt"])
    folder = tmp_path / "shipped" / "few-small"
    publish.publish(tmp_path / "run", folder, "gemini-workshop train --corpus few")
    return run, folder


def test_a_checkpoint_that_ships_is_small_and_whole(shipped):
    _, folder = shipped
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.safetensors", "config.yaml", "tokenizer.json", "SHA256SUMS", "MODEL_CARD.md"}
    weights = load((folder / "model.safetensors").read_bytes())
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    checkpoint.check_sums(folder)


def test_rounding_to_float16_keeps_the_loss(shipped):
    run, folder = shipped
    model, _ = load_pretrained(folder)
    checkpoint = find_checkpoint(run.folder)
    rounded = publish.validation_nats(model, checkpoint, run.text)
    assert rounded == pytest.approx(publish.validation_nats(run.state.model, checkpoint, run.text), abs=1e-3)


def test_the_card_may_be_edited_without_damage(shipped):
    _, folder = shipped
    (folder / "MODEL_CARD.md").write_text("A better card.")
    load_pretrained(folder)


def test_the_card_names_data_licence_recipe_and_numbers(shipped):
    run, folder = shipped
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    nats = publish.validation_nats(load_pretrained(folder)[0], find_checkpoint(run.folder), run.text)
    for words in (
        "# few-small",
        f"{run.state.model.num_parameters():,} parameters",
        "CC BY 4.0",
        f"- `few.txt` sha256 `{hashlib.sha256(b'The cat saw 3 birds.').hexdigest()}`",
        "`gemini-workshop train --corpus few`",
        "120 steps of 3 windows of 7 tokens: 2,520 tokens",
        f"**{nats:.3f}**",
        "uniform model",
        "bits per byte",
        "> Once upon a time",
        "## Limits",
    ):
        assert words in card
    assert not any(line != line.rstrip() for line in card.splitlines())


def test_the_card_names_each_of_several_corpora_and_how_often_it_was_read(shipped):
    data = "\n".join(publish._data("few+few+many", "all"))
    assert data.count("few.txt") == 2  # one list of files per corpus
    assert data.count("Every document appears in the text 2 times.") == 1


def test_the_module_is_a_program(shipped, tmp_path):
    run, _ = shipped
    publish.main([str(run.folder), str(tmp_path / "again"), "--command", "x"])
    assert (tmp_path / "again" / "MODEL_CARD.md").read_text("utf-8").startswith("# again")
