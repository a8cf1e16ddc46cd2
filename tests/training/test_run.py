import json
from dataclasses import replace

import pytest
import torch

from gemini_workshop.checkpoint import find_checkpoint
from gemini_workshop.config import load_config
from gemini_workshop.data.batches.text import Text
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import CheckpointError, DataError, TrainingError
from gemini_workshop.training import run as runs
from tests.training import stories

CPU = torch.device("cpu")
CONFIG = stories.CONFIG


def change(**values):
    model = {name: value for name, value in values.items() if hasattr(CONFIG.model, name)}
    training = {name: value for name, value in values.items() if hasattr(CONFIG.training, name)}
    return replace(CONFIG, model=replace(CONFIG.model, **model), training=replace(CONFIG.training, **training))


def text(both, split):
    shards = getattr(both, split)
    return both.tokenizer.decode(shards.tokens(0, shards.num_tokens).tolist())


def test_a_run_keeps_its_settings_its_source_and_its_tokenizer(tmp_path):
    run = stories.start(tmp_path / "deep" / "run")
    assert load_config(run.folder / "config.yaml") == CONFIG
    source = json.loads((run.folder / "run.json").read_text())
    assert source == {"corpus": "few", "size": "all", "shards": "shards", "text_sha256": run.source.sha256}
    assert (run.folder / "tokenizer.json").exists()


def test_the_tokenizer_learns_from_the_training_split_alone(tmp_path, monkeypatch):
    seen = []
    real = BPETokenizer.train.__func__
    monkeypatch.setattr(
        BPETokenizer,
        "train",
        classmethod(lambda cls, documents, *rest, **more: (seen.extend(documents), real(cls, seen, *rest, **more))[1]),
    )
    run = stories.start(tmp_path)
    kept = text(run.text, "validation")
    assert seen
    assert not any(document in kept.split("<|endoftext|>") for document in seen)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model after a few steps, whose tokenizer comes from another text than the runs that begin with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stories, "documents", lambda *_: [f"Zebras quickly jump over {i} logs." for i in range(60)])
        run = stories.start(tmp_path_factory.mktemp("trained"), change(steps=8))
        stories.finish(run)
    return find_checkpoint(run.folder)


def test_a_run_begins_with_the_weights_and_the_tokenizer_of_a_model(trained, tmp_path):
    run = stories.start(tmp_path, trained.config, beginning=trained)
    for name, weight in run.state.model.state_dict().items():
        assert torch.equal(weight, trained.weights[name])
    text = "Zebras jump and saw birds."
    assert run.text.tokenizer.encode(text) == trained.tokenizer.encode(text)
    assert run.text.tokenizer.encode(text) != stories.start(tmp_path / "anew").text.tokenizer.encode(text)
    assert (run.state.step, run.state.optimizer.state_dict()["state"]) == (0, {})
    source = json.loads((run.folder / "run.json").read_text())
    assert source["from"] == trained.path.name
    assert f"{source['from_sha256']}  model.safetensors" in (trained.path / "SHA256SUMS").read_text()


def test_a_run_that_began_with_a_model_resumes_without_it(trained, tmp_path):
    whole = stories.start(tmp_path / "whole", change(steps=12), beginning=trained)
    stories.finish(whole)
    stopped = stories.start(tmp_path / "stopped", change(steps=12), beginning=trained)
    runs.train_run(stopped, minutes=0.0)
    resumed = stories.resume(stopped.folder)
    assert 0 < resumed.state.step < 12
    stories.finish(resumed)
    for one, other in zip(whole.state.model.parameters(), resumed.state.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_weights_that_do_not_fit_the_settings_are_refused(trained, tmp_path):
    with pytest.raises(CheckpointError, match=r"weights in .* do not fit the model: blocks"):
        stories.start(tmp_path / "run", change(num_layers=CONFIG.model.num_layers + 1), beginning=trained)
    assert not (tmp_path / "run").exists()


def test_shards_of_another_tokenizer_than_the_models_are_refused(trained, tmp_path):
    shards = str(stories.start(tmp_path / "other").folder / "shards")
    with pytest.raises(DataError, match="tokenizer"):
        runs.start_run(tmp_path / "run", CONFIG, shards, "all", CPU, beginning=trained)
    assert Text.open(shards).train.num_tokens


def test_the_same_seed_gives_the_same_initial_weights(tmp_path):
    first, second = stories.start(tmp_path / "a"), stories.start(tmp_path / "b")
    other = stories.start(tmp_path / "c", change(seed=1))
    weight = first.state.model.embedding.weight
    assert torch.equal(weight, second.state.model.embedding.weight)
    assert not torch.equal(weight, other.state.model.embedding.weight)


def test_the_bytes_of_the_validation_text_are_counted(tmp_path):
    run = stories.start(tmp_path)
    kept = text(run.text, "validation").replace("<|endoftext|>", "")
    assert run.text.validation.num_bytes == len(kept.encode())


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path):
    run = stories.start(tmp_path)
    run.state.step = 7
    run.save({})
    with pytest.raises(TrainingError, match=r"already contains a run, saved at step-000007.*--resume"):
        stories.start(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"cannot be written to .*file.*run: .*--out FOLDER"):
        stories.start(tmp_path / "file" / "run")


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path):
    with pytest.raises(CheckpointError, match=rf"no run in .*{tmp_path.name} to resume\..*--out"):
        stories.resume(tmp_path)


def test_a_run_without_a_checkpoint_cannot_be_resumed(tmp_path):
    stories.start(tmp_path)
    with pytest.raises(CheckpointError, match=r"There is no checkpoint in .*checkpoints"):
        stories.resume(tmp_path)


def test_a_tokenizer_of_another_vocabulary_is_refused(tmp_path):
    run = stories.start(tmp_path)
    message = r"tokenizer of .* has vocab_size=270, but the model has vocab_size=260.*--set vocab_size=270"
    with pytest.raises(DataError, match=message):
        run.text.source(change(vocab_size=260))


def test_an_empty_corpus_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(stories, "documents", lambda *_: [])
    with pytest.raises(DataError, match="0 documents for training and 0 for validation"):
        stories.start(tmp_path)


def test_an_unknown_corpus_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(DataError, match=r"no corpus 'storys'\. Did you mean 'stories'"):
        runs.start_run(tmp_path, CONFIG, "storys", "all", CPU)


def test_a_text_shorter_than_the_window_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"\d+ tokens in .* are too few for a window of context_tokens=5000"):
        stories.start(tmp_path / "run", change(context_tokens=5000))
    assert not (tmp_path / "run").exists()


def test_a_validation_text_shorter_than_the_window_is_refused_as_well(tmp_path):
    with pytest.raises(DataError, match=r"\d+ tokens in .* are too few for a window of context_tokens=600"):
        stories.start(tmp_path, change(context_tokens=600))


def test_training_keeps_the_memory_it_frees(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(runs, "keep_freed_memory", lambda: called.append(True))
    run = stories.start(tmp_path)
    assert not called
    stories.finish(run)
    assert called == [True]


def test_shards_that_were_given_are_kept_when_the_run_cannot_start(tmp_path):
    run = stories.start(tmp_path / "run")
    wrong = change(vocab_size=300)
    with pytest.raises(DataError, match="vocab_size=270, but the model has vocab_size=300"):
        runs.start_run(run.folder, wrong, str(run.folder / "shards"), "all", CPU)
    assert Text.open(run.folder / "shards").source(CONFIG).sha256 == run.source.sha256
