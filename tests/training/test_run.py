import json
from dataclasses import replace

import pytest
import torch

from gemini_workshop.config import load_config
from gemini_workshop.data.tokenizer import BPETokenizer
from gemini_workshop.errors import CheckpointError, DataError, TrainingError
from gemini_workshop.training import run as runs
from tests.training import stories

CPU = torch.device("cpu")
CONFIG = stories.CONFIG


def change(**values):
    model = {name: value for name, value in values.items() if hasattr(CONFIG.model, name)}
    training = {name: value for name, value in values.items() if hasattr(CONFIG.training, name)}
    return replace(CONFIG, model=replace(CONFIG.model, **model), training=replace(CONFIG.training, **training))


def test_a_run_keeps_its_settings_its_source_and_its_tokenizer(tmp_path):
    run = stories.start(tmp_path / "deep" / "run")
    assert load_config(run.folder / "config.yaml") == CONFIG
    source = json.loads((run.folder / "run.json").read_text())
    assert source == {"corpus": "few", "size": "all", "text_sha256": run.text.sha256}
    assert (run.folder / "tokenizer.json").exists()


def test_the_tokenizer_learns_from_the_training_share_alone(tmp_path, monkeypatch):
    seen = []
    real = BPETokenizer.train.__func__
    monkeypatch.setattr(
        BPETokenizer,
        "train",
        classmethod(lambda cls, documents, *rest: (seen.extend(documents), real(cls, documents, *rest))[1]),
    )
    run = stories.start(tmp_path)
    kept = run.text.tokenizer.decode(run.text.validation_ids.tolist())
    assert seen
    assert not any(document in kept.split("<|endoftext|>") for document in seen)


def test_the_same_seed_gives_the_same_initial_weights(tmp_path):
    first, second = stories.start(tmp_path / "a"), stories.start(tmp_path / "b")
    other = stories.start(tmp_path / "c", change(seed=1))
    assert torch.equal(first.model.embedding.weight, second.model.embedding.weight)
    assert not torch.equal(first.model.embedding.weight, other.model.embedding.weight)


def test_the_bytes_of_the_validation_text_are_counted(tmp_path):
    run = stories.start(tmp_path)
    text = run.text.tokenizer.decode(run.text.validation_ids.tolist()).replace("<|endoftext|>", "")
    assert run.text.validation_bytes == len(text.encode())


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path):
    run = stories.start(tmp_path)
    run.save(7, {})
    with pytest.raises(TrainingError, match=r"holds a run already, saved at step-000007.*--resume"):
        stories.start(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"cannot be written to .*file.*run: .*--out FOLDER"):
        stories.start(tmp_path / "file" / "run")


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path):
    with pytest.raises(CheckpointError, match=rf"no run in .*{tmp_path.name} to go on with.*--resume"):
        stories.resume(tmp_path)


def test_a_run_without_a_checkpoint_cannot_be_resumed(tmp_path):
    stories.start(tmp_path)
    with pytest.raises(CheckpointError, match=r"There is no checkpoint in .*checkpoints"):
        stories.resume(tmp_path)


def test_a_tokenizer_of_another_vocabulary_is_refused(monkeypatch):
    monkeypatch.setattr(runs, "load_documents", stories.documents)
    tokenizer = BPETokenizer.train(stories.documents(), 260)
    with pytest.raises(TrainingError, match=r"tokenizer has vocab_size=260, the model vocab_size=270.*vocab_size=260"):
        runs.load_text(CONFIG, "few", tokenizer=tokenizer)


def test_an_empty_corpus_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(stories, "documents", lambda *_: [])
    with pytest.raises(DataError, match="0 documents"):
        stories.start(tmp_path)


def test_an_unknown_corpus_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(DataError, match=r"no corpus 'storys'\. Did you mean 'stories'"):
        runs.start_run(tmp_path, CONFIG, "storys", "all", CPU)


def test_a_text_shorter_than_the_window_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"\d+ tokens are too few for a window of context_tokens=5000"):
        stories.start(tmp_path / "run", change(context_tokens=5000))
    assert not (tmp_path / "run").exists()


def test_a_validation_text_shorter_than_the_window_is_refused_as_well(tmp_path):
    with pytest.raises(DataError, match=r"\d+ tokens are too few for a window of context_tokens=600"):
        stories.start(tmp_path, change(context_tokens=600))


def test_a_token_outside_the_vocabulary_is_named_with_its_place(tmp_path):
    run = stories.start(tmp_path)
    run.text.train_ids[33] = 270
    with pytest.raises(DataError, match=r"token id 270 at position 33 is outside the vocabulary of 270"):
        stories.finish(run)


def test_training_keeps_the_memory_it_frees(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(runs, "keep_freed_memory", lambda: called.append(True))
    run = stories.start(tmp_path)
    assert not called
    stories.finish(run)
    assert called == [True]
