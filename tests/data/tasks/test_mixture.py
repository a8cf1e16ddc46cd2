"""The mixture of tasks as something to train on, of two tasks that every machine has."""

import json
from dataclasses import replace

import pytest
import torch

from gemini_workshop.data.media.encoding import AUDIO, IMAGE, MARKS
from gemini_workshop.data.tasks import mixture
from gemini_workshop.data.tasks.mixture import TaskMixture, open_mixture
from gemini_workshop.errors import DataError
from tests.training import few_tasks

CONFIG = few_tasks.CONFIG


@pytest.fixture
def opened(tmp_path, monkeypatch):
    few_tasks.use(monkeypatch)
    return open_mixture(tmp_path / "shards", CONFIG)


def test_the_marks_of_media_are_the_last_ids(opened):
    ids = opened.tokenizer.special_tokens
    assert [ids[mark] for mark in MARKS] == list(range(CONFIG.model.vocab_size - len(MARKS), CONFIG.model.vocab_size))
    assert (ids[IMAGE], ids[AUDIO]) == (CONFIG.model.media.image_token_id, CONFIG.model.media.audio_token_id)


def test_what_was_written_is_opened_again(opened):
    again = TaskMixture.open(opened.folder)
    assert again.stages == opened.stages
    assert [list(stage.weights) for stage in again.stages] == [["arithmetic"], *[["digits", "arithmetic"]] * 2]
    text = "which digit? 12 + 30"
    assert again.tokenizer.encode(text) == opened.tokenizer.encode(text)
    assert again.source(CONFIG).sha256 == opened.source(CONFIG).sha256


def test_some_tasks_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(mixture, "TEXTS_PER_TASK", 60)
    chosen = open_mixture(tmp_path, CONFIG, names=["arithmetic", "films"])
    assert set(chosen.weights) == {"arithmetic", "films"}
    with pytest.raises(DataError, match=r"no task 'film'. Did you mean 'films'"):
        open_mixture(tmp_path, CONFIG, names=["film"])


def test_a_step_reads_the_same_batch_each_time_and_no_two_steps_the_same(opened):
    source = opened.source(CONFIG)
    first, second = source.batch(0), source.batch(1)
    assert torch.equal(source.batch(0).inputs, first.inputs)
    assert torch.equal(source.batch(0).media.patches, first.media.patches)
    assert not torch.equal(first.inputs, second.inputs)
    assert first.inputs.shape == (CONFIG.training.batch_size, CONFIG.row_tokens)
    assert opened.source(replace(CONFIG, training=replace(CONFIG.training, seed=1))).sha256 != source.sha256


def test_validation_is_held_out_and_the_same_each_time(opened):
    source = opened.source(CONFIG)
    once, again = ([batch.inputs for batch in source.validation(3)] for _ in range(2))
    assert all(map(torch.equal, once, again))
    # tests/data/tasks/test_splits.py shows that no held-out example is trained on
    assert (source.train_rows.split, source.validation_rows.split) == ("train", "heldout")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"media": None}, "takes text alone. Train on tasks with --preset mini-gemini"),
        ({"vocab_size": 400}, "has vocab_size=330, but the model has vocab_size=400"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(opened, change, message):
    with pytest.raises(DataError, match=message):
        opened.source(replace(CONFIG, model=replace(CONFIG.model, **change)))


def test_a_damaged_mixture_is_refused_with_its_file(opened):
    (opened.folder / mixture.MIXTURE_FILE).write_text(json.dumps({"tasks": []}))
    with pytest.raises(DataError, match=r"mixture\.json cannot be read: 'stages'"):
        TaskMixture.open(opened.folder)
