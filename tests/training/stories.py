"""A small corpus and run for the tests of this folder; run as a program, it trains in a process of its own.

python -m tests.training.stories FOLDER     # one run undisturbed, one killed twenty times
"""

import json
import os
import random
import signal
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from gemini_workshop.checkpoint import checkpoint_paths
from gemini_workshop.config import GenerationConfig, TrainingConfig, WorkshopConfig
from gemini_workshop.data import corpora
from gemini_workshop.training import run as runs
from gemini_workshop.training.endings import Outcome
from gemini_workshop.training.parallel.processes import ALONE, Processes
from gemini_workshop.training.watching.callbacks import History
from tests import tiny

CONFIG = WorkshopConfig(
    model=replace(tiny.MODEL, vocab_size=270, activation="silu"),
    training=TrainingConfig(
        steps=120,
        batch_size=3,
        learning_rate=0.02,
        warmup_steps=5,
        eval_every_steps=40,
        eval_batches=2,
        checkpoint_every_steps=10,
        validation_fraction=0.3,
    ),
    generation=GenerationConfig(),
)
# All that a run remembers from step to step: two kinds of momentum, a mean of the weights, the best measurement.
REMEMBERING = {"optimizer": "muon", "ema_decay": 0.9, "patience_evals": 50}
HARD = replace(
    CONFIG,
    training=replace(CONFIG.training, **REMEMBERING, steps=60, eval_every_steps=7, checkpoint_every_steps=3),
)


def documents(name: str = "few", size: str = "all") -> list[str]:
    """Short sentences, always the same."""
    rng = random.Random(0)
    return [f"The {rng.choice(['cat', 'dog', 'hen'])} saw {rng.randrange(99)} birds." for _ in range(60)]


def start(folder: Path, config: WorkshopConfig = CONFIG, processes: Processes = ALONE, **more) -> runs.Run:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "stream_documents", lambda *_: iter(documents()))
        return runs.start_run(folder, config, "few", "all", torch.device("cpu"), processes, **more)


def resume(folder: Path, processes: Processes = ALONE) -> runs.Run:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "stream_documents", lambda *_: iter(documents()))
        return runs.resume_run(folder, torch.device("cpu"), processes)


def finish(run: runs.Run, *more) -> Outcome:
    return runs.train_run(run, [History(run.folder / "history.jsonl"), *more])


def lives(folder: Path, config: WorkshopConfig, cpu_seconds: float, deaths: int) -> list[bool]:
    """A run that is killed so many times, at random moments that share out the CPU time given, and then finished.

    The moments are CPU time, so that a busy machine changes nothing; the timer's signal ends a process as roughly as
    SIGKILL does.

    Returns:
        For each life, whether it ended while a checkpoint was being written.
    """
    cuts = sorted(random.uniform(0, cpu_seconds) for _ in range(deaths - 1))
    died_saving = []
    for seconds in (b - a for a, b in pairwise([0.0, *cuts, cpu_seconds])):
        child = os.fork()
        if child == 0:
            run = begin(folder, config)
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, max(seconds, 1e-4))
            finish(run)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"a life ended by itself: {status}"
        died_saving.append(any((folder / "checkpoints").glob(".step-*.tmp")))
    finish(begin(folder, config))  # perhaps no life was long enough for a checkpoint
    return died_saving


def begin(folder: Path, config: WorkshopConfig) -> runs.Run:
    """Resume from the newest checkpoint, or start where there is none."""
    return resume(folder) if checkpoint_paths(folder / "checkpoints") else start(folder, config)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    finish(start(folder / "warm-up", HARD))
    run = start(folder / "undisturbed", HARD)
    began = time.process_time()
    finish(run)
    taken = time.process_time() - began
    print(json.dumps(lives(folder / "killed", HARD, 0.5 * taken, deaths=20)))
