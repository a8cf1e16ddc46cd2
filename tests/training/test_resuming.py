"""A run that was stopped, however roughly, ends with the very weights of one that was not."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gemini_workshop.errors import CheckpointError
from gemini_workshop.training.callbacks import Callback, read_history
from gemini_workshop.training.checkpointing import checkpoint_paths, load_newest
from tests.training import stories

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run = stories.start(tmp_path_factory.mktemp("undisturbed"))
    stories.finish(run)
    return run


def assert_same_weights(run, other):
    for name, weight in run.model.state_dict().items():
        assert torch.equal(weight, other.model.state_dict()[name]), name


class StopAfter(Callback):
    """What a crash looks like from inside."""

    def __init__(self, step):
        self.step = step

    def stepped(self, step, metrics):
        if step == self.step:
            raise RuntimeError("crash")


def test_a_run_killed_at_a_random_moment_and_resumed_equals_one_that_was_not(undisturbed, tmp_path):
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-m", "tests.training.stories", str(folder)], cwd=ROOT)
    while not checkpoint_paths(folder / "checkpoints"):
        assert process.poll() is None, "the process ended before its first checkpoint"
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.3))
    process.kill()
    process.wait()
    run = stories.resume(folder)
    assert 0 < run.first_step < stories.CONFIG.training.steps
    stories.finish(run)
    assert_same_weights(run, undisturbed)


@pytest.mark.parametrize("step", [19, 51])
def test_a_crash_between_two_checkpoints_loses_only_the_steps_since_the_last(undisturbed, tmp_path, step):
    run = stories.start(tmp_path)
    with pytest.raises(RuntimeError, match="crash"):
        stories.finish(run, StopAfter(step))
    resumed = stories.resume(tmp_path)
    assert resumed.first_step == step // 10 * 10
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
    assert run.first_step == 10
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


def test_the_random_state_goes_on_where_it_stood(tmp_path):
    run = stories.start(tmp_path)
    torch.manual_seed(5)
    run.save(10, {})
    expected = torch.rand(3)
    torch.manual_seed(6)
    stories.resume(tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_resuming_a_finished_run_changes_nothing(undisturbed):
    run = stories.resume(undisturbed.folder)
    assert run.first_step == 120
    stories.finish(run)
    assert_same_weights(run, undisturbed)
