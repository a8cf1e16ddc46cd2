"""A run that was stopped, however roughly, ends with exactly the weights of one that was not."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gemini_workshop.checkpoint import checkpoint_paths, load_newest, load_pretrained
from gemini_workshop.errors import CheckpointError, TrainingError
from gemini_workshop.training.watching.callbacks import Callback, read_history
from tests.training import stories

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run = stories.start(tmp_path_factory.mktemp("undisturbed"))
    stories.finish(run)
    return run


def assert_same_weights(run, other):
    for name, weight in run.state.model.state_dict().items():
        assert torch.equal(weight, other.state.model.state_dict()[name]), name


class StopAfter(Callback):
    """What a crash looks like from inside."""

    def __init__(self, step):
        self.step = step

    def stepped(self, step, metrics):
        if step == self.step:
            raise RuntimeError("crash")


class CtrlC(Callback):
    """The key, pressed after a step: one more is taken and saved."""

    def __init__(self, step):
        self.step = step

    def stepped(self, step, metrics):
        if step == self.step:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(hasattr(os, "fork"), reason="there is a better test below")
def test_a_run_killed_at_a_random_moment_and_resumed_equals_one_that_was_not(undisturbed, tmp_path):
    source = "from tests.training import stories; from pathlib import Path; import sys, time\n"
    source += "slowly = type('Slowly', (stories.History,), {'stepped': lambda *_: time.sleep(0.01)})\n"
    source += "path = Path(sys.argv[1]); stories.finish(stories.start(path), slowly(path / 'none'))"
    process = subprocess.Popen([sys.executable, "-c", source, str(tmp_path)], cwd=ROOT)
    while not checkpoint_paths(tmp_path / "checkpoints"):
        assert process.poll() is None, "the process ended before its first checkpoint"
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.3))
    process.kill()
    process.wait()
    run = stories.resume(tmp_path)
    assert 0 < run.state.step < stories.CONFIG.training.steps
    stories.finish(run)
    assert_same_weights(run, undisturbed)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="lives are forked, to start at once")
def test_a_run_killed_twenty_times_equals_one_that_was_not_in_every_file(tmp_path):
    command = [sys.executable, "-m", "tests.training.stories", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "damaged" not in result.stderr
    assert len(json.loads(result.stdout)) == 20
    ours, theirs = ((tmp_path / name / "checkpoints") for name in ("killed", "undisturbed"))
    names = sorted(str(path.relative_to(theirs)) for path in theirs.rglob("*"))
    assert names == sorted(str(path.relative_to(ours)) for path in ours.rglob("*"))
    assert {Path(name).name for name in names} >= {"training.safetensors", "model.safetensors", "state.json"}
    for name in names:
        if (theirs / name).is_file():
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "lion", "adafactor", "galore"])
def test_every_optimizer_resumes_to_the_same_weights(tmp_path, optimizer):
    change = {"optimizer": optimizer, "steps": 12, "galore_rank": 2, "galore_every_steps": 3, "learning_rate": 0.01}
    config = replace(stories.HARD, training=replace(stories.HARD.training, **change))
    whole, broken = stories.start(tmp_path / "whole", config), stories.start(tmp_path / "broken", config)
    stories.finish(whole)
    with pytest.raises(RuntimeError, match="crash"):
        stories.finish(broken, StopAfter(8))
    resumed = stories.resume(tmp_path / "broken")
    assert 0 < resumed.state.step <= 8
    stories.finish(resumed)
    assert_same_weights(resumed, whole)


def test_a_run_goes_on_with_the_mean_of_its_weights_and_its_patience(tmp_path):
    run = stories.start(tmp_path, stories.HARD)
    assert stories.finish(run, CtrlC(29)).step == 30
    resumed = stories.resume(tmp_path)
    assert resumed.state.step == 30
    ours, theirs = resumed.state.patience, run.state.patience
    assert (ours.best, ours.since) == (theirs.best, theirs.since)
    assert resumed.state.average.steps == 30
    assert_same_weights(resumed, run)
    for name, mean in run.state.average.means.items():
        assert torch.equal(mean, resumed.state.average.means[name])
        assert not torch.equal(mean, resumed.state.model.state_dict()[name])


def test_a_model_that_is_loaded_is_the_mean_of_the_weights(tmp_path):
    run = stories.start(tmp_path, stories.HARD)
    stories.finish(run, CtrlC(8))
    model, _ = load_pretrained(tmp_path)
    assert all(torch.equal(model.state_dict()[name], mean) for name, mean in run.state.average.means.items())


def test_resuming_needs_only_the_folder_of_the_run(tmp_path, monkeypatch):
    stories.start(tmp_path / "run").save({})
    monkeypatch.setattr(stories, "documents", lambda *_: pytest.fail("the corpus is not read again"))
    (tmp_path / "run").rename(tmp_path / "moved")
    assert stories.resume(tmp_path / "moved").state.step == 0


def test_another_text_in_the_place_of_the_old_one_is_refused(tmp_path, monkeypatch):
    stories.start(tmp_path / "run").save({})
    documents = stories.documents()
    monkeypatch.setattr(stories, "documents", lambda *_: [*documents, "The hen is new."])
    stories.start(tmp_path / "other")
    shutil.rmtree(tmp_path / "run" / "shards")
    (tmp_path / "other" / "shards").rename(tmp_path / "run" / "shards")
    with pytest.raises(TrainingError, match=r"run.shards is no longer the one that .*Restore the old text"):
        stories.resume(tmp_path / "run")


@pytest.mark.parametrize("step", [19, 51])
def test_a_crash_between_two_checkpoints_loses_only_the_steps_since_the_last(undisturbed, tmp_path, step):
    run = stories.start(tmp_path)
    with pytest.raises(RuntimeError, match="crash"):
        stories.finish(run, StopAfter(step))
    resumed = stories.resume(tmp_path)
    assert resumed.state.step == step // 10 * 10
    stories.finish(resumed)
    assert_same_weights(resumed, undisturbed)


def test_a_resumed_history_holds_every_step_once(undisturbed, tmp_path):
    with pytest.raises(RuntimeError, match="crash"):
        stories.finish(stories.start(tmp_path), StopAfter(27))
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"step": 28, "los')  # a kill in the middle of a line
    stories.finish(stories.resume(tmp_path))
    history = read_history(tmp_path / "history.jsonl")
    assert history == read_history(undisturbed.folder / "history.jsonl")
    assert [entry["step"] for entry in history] == list(range(1, 121))


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(undisturbed, tmp_path):
    with pytest.raises(RuntimeError, match="crash"):
        stories.finish(stories.start(tmp_path), StopAfter(25))
    newest = checkpoint_paths(tmp_path / "checkpoints")[0]
    weights = bytearray((newest / "model.safetensors").read_bytes())
    weights[-5] ^= 1  # one bit
    (newest / "model.safetensors").write_bytes(weights)
    with pytest.warns(UserWarning, match=r"step-000020 is damaged: the sha256 of model\.safetensors.*Falling back"):
        run = stories.resume(tmp_path)
    assert run.state.step == 10
    stories.finish(run)
    assert_same_weights(run, undisturbed)


def test_when_every_checkpoint_is_damaged_the_message_counts_them(tmp_path):
    with pytest.raises(RuntimeError, match="crash"):
        stories.finish(stories.start(tmp_path), StopAfter(25))
    for path in checkpoint_paths(tmp_path / "checkpoints"):
        (path / "config.yaml").unlink()
    with (
        pytest.warns(UserWarning, match=r"config\.yaml"),
        pytest.raises(CheckpointError, match="There is no undamaged checkpoint among the 2"),
    ):
        load_newest(tmp_path / "checkpoints")


def test_the_random_state_is_restored(tmp_path):
    run = stories.start(tmp_path)
    torch.manual_seed(5)
    run.state.step = 10
    run.save({})
    expected = torch.rand(3)
    torch.manual_seed(6)
    stories.resume(tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_resuming_a_finished_run_changes_nothing(undisturbed):
    run = stories.resume(undisturbed.folder)
    assert run.state.step == 120
    stories.finish(run)
    assert_same_weights(run, undisturbed)
