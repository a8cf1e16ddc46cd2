"""Runs of several processes are saved as runs of one are, and go on in any number of processes."""

import os
import signal
import sys
import threading
import time
from dataclasses import replace

import pytest

from gemini_workshop.config import MoEConfig
from gemini_workshop.errors import TrainingError
from gemini_workshop.training.callbacks import Callback, read_history
from gemini_workshop.training.checkpointing import checkpoint_paths
from gemini_workshop.training.distributed import launch
from gemini_workshop.training.processes import ALONE
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
    assert run.first_step == 4
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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_lost_process_ends_the_run_with_a_message_and_the_run_goes_on_from_its_last_checkpoint(tmp_path, capfd):
    saved = tmp_path / "run" / "checkpoints"

    def kill_one():
        while not checkpoint_paths(saved):
            time.sleep(0.02)
        os.kill(int((tmp_path / "process-1").read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    with pytest.raises(TrainingError, match=r"Process 1 of 2 was ended by signal 9.* go on with --resume"):
        launch(2, [sys.executable, "-m", "tests.training.slow_process", str(tmp_path)])
    assert "Process 0 of 2 stops: another one has ended" in capfd.readouterr().err
    run = stories.resume(tmp_path / "run")
    assert 0 < run.first_step < run.config.training.steps


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
    assert 0 < run.first_step < run.config.training.steps
