"""A small corpus and run for the tests of this folder; run as a program, it trains in a process of its own.

python -m tests.training.stories FOLDER
"""

import random
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gemini_workshop.config import GenerationConfig, TrainingConfig, WorkshopConfig
from gemini_workshop.training import run as runs
from gemini_workshop.training.callbacks import Callback, History, SaveCheckpoints, StepMetrics
from gemini_workshop.training.trainer import fit
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


def documents(name: str = "few", size: str = "all") -> list[str]:
    """Short sentences, always the same."""
    rng = random.Random(0)
    return [f"The {rng.choice(['cat', 'dog', 'hen'])} saw {rng.randrange(99)} birds." for _ in range(60)]


def start(folder: Path, config: WorkshopConfig = CONFIG) -> runs.Run:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "load_documents", documents)
        return runs.start_run(folder, config, "few", "all", torch.device("cpu"))


def resume(folder: Path) -> runs.Run:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "load_documents", documents)
        return runs.resume_run(folder, torch.device("cpu"))


def finish(run: runs.Run, *more) -> None:
    training = run.config.training
    own = [History(run.folder / "history.jsonl"), SaveCheckpoints(run.save, training.checkpoint_every_steps)]
    windows = run.train_windows, run.validation_windows
    fit(run.model, run.optimizer, *windows, training, first_step=run.first_step, callbacks=[*own, *more])


class Slowly(Callback):
    """Leave time to be killed in the middle."""

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        time.sleep(0.01)


if __name__ == "__main__":
    finish(start(Path(sys.argv[1])), Slowly())
