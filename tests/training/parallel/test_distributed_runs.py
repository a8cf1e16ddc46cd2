"""Runs of several processes are saved as runs of one are, and resume with any number of processes."""

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gemini_workshop.checkpoint import checkpoint_paths
from gemini_workshop.config import MoEConfig
from gemini_workshop.errors import DataError, TrainingError
from gemini_workshop.training import run as runs
from gemini_workshop.training.parallel.distributed import launch
from gemini_workshop.training.parallel.processes import ALONE
from gemini_workshop.training.watching.callbacks import Callback, read_history
from tests.training import stories

SHORT = replace(stories.CONFIG.training, steps=8, batch_size=4, eval_every_steps=4, checkpoint_every_steps=4)
CONFIG = replace(stories.CONFIG, training=SHORT)
EXPERTS = replace(CONFIG, model=replace(CONFIG.model, moe=MoEConfig(num_experts=4, experts_per_token=2, expert_dim=5)))


class Crash(Callback):
    """Every process ends at the same step."""

    needs_all_processes = True

    def stepped(self, step, metrics):
        if step == 6:
            raise RuntimeError("crash")


def begin(processes, folder, config):
    run = stories.start(folder, config, processes)
    with pytest.raises(RuntimeError, match="crash"):
        stories.finish(run, Crash())


def go_on(processes, folder):
    run = stories.resume(folder, processes)
    assert run.state.step == 4
    stories.finish(run)


def losses(folder):
    history = read_history(folder / "history.jsonl")
    return [entry[name] for entry in history for name in ("loss_nats", "validation_nats") if name in entry]


def whole_run(folder, config):
    stories.finish(stories.start(folder, config))
    return losses(folder)


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (CONFIG, {}),
        (CONFIG, {"strategy": "zero1", "optimizer": "muon"}),
        (CONFIG, {"strategy": "fsdp", "ema_decay": 0.9}),
        (EXPERTS, {"strategy": "fsdp", "expert_parallel": True}),
    ],
    ids=["ddp", "zero1-muon", "fsdp-average", "fsdp-experts"],
)
def test_a_run_goes_on_in_another_number_of_processes(pair, tmp_path, config, changes):
    config = replace(config, training=replace(config.training, **changes))
    expected = whole_run(tmp_path / "undisturbed", config)
    begin(ALONE, tmp_path / "more", config)
    pair(go_on, tmp_path / "more")
    assert losses(tmp_path / "more") == pytest.approx(expected, abs=1e-5)
    pair(begin, tmp_path / "fewer", config)
    go_on(ALONE, tmp_path / "fewer")
    assert losses(tmp_path / "fewer") == pytest.approx(expected, abs=1e-5)
    assert len(expected) == 8 + 2


def finish_whole(processes, folder, config):
    stories.finish(stories.start(folder, config, processes))


@pytest.mark.parametrize(
    ("config", "changes"),
    [(CONFIG, {"strategy": "zero1", "optimizer": "muon"}), (EXPERTS, {"strategy": "fsdp", "expert_parallel": True})],
    ids=["zero1-muon", "fsdp-experts"],
)
def test_a_run_of_two_processes_that_goes_on_ends_with_the_same_bytes(pair, tmp_path, config, changes):
    config = replace(config, training=replace(config.training, **changes))
    pair(finish_whole, tmp_path / "undisturbed", config)
    pair(begin, tmp_path / "broken", config)
    pair(go_on, tmp_path / "broken")
    ours, theirs = (tmp_path / name / "checkpoints" for name in ("broken", "undisturbed"))
    names = sorted(str(path.relative_to(theirs)) for path in theirs.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(ours)) for path in ours.rglob("*") if path.is_file())
    assert {Path(name).name for name in names} >= {"training.safetensors", "model.safetensors", "state.json"}
    for name in names:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


def refused(processes, folder):
    with pytest.raises(DataError) as refusal:
        runs.start_run(folder, CONFIG, "storys", "all", torch.device("cpu"), processes)
    return str(refusal.value)


def test_a_text_that_the_first_process_cannot_read_is_the_same_error_in_all(pair, tmp_path):
    first, second = pair(refused, tmp_path)
    assert "no corpus 'storys'" in first
    assert second == first


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_lost_process_ends_the_run_with_a_message_and_the_run_goes_on_from_its_last_checkpoint(tmp_path, capfd):
    saved = tmp_path / "run" / "checkpoints"

    def kill_one():
        while not checkpoint_paths(saved):
            time.sleep(0.02)
        os.kill(int((tmp_path / "process-1").read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    with pytest.raises(TrainingError, match=r"Process 1 of 2 was ended by signal 9.* resume with --resume"):
        launch(2, [sys.executable, "-m", "tests.training.slow_process", str(tmp_path)])
    assert "Process 0 of 2 stops: another one has ended" in capfd.readouterr().err
    run = stories.resume(tmp_path / "run")
    assert 0 < run.state.step < run.config.training.steps


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to consoles, not to processes")
def test_ctrl_c_ends_all_processes_after_the_same_step_and_saves_it(tmp_path):
    saved = tmp_path / "run" / "checkpoints"

    def interrupt_all():
        while not checkpoint_paths(saved):
            time.sleep(0.02)
        for rank in (0, 1):
            os.kill(int((tmp_path / f"process-{rank}").read_text()), signal.SIGINT)

    threading.Thread(target=interrupt_all, daemon=True).start()
    launch(2, [sys.executable, "-m", "tests.training.slow_process", str(tmp_path)])
    run = stories.resume(tmp_path / "run")
    assert 0 < run.state.step < run.config.training.steps
