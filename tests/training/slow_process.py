"""A run of several processes that takes its time and leaves their numbers in its folder, so that a test can end one.

python -m tests.training.slow_process FOLDER
"""

import os
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import torch

from gemini_workshop.errors import TrainingError
from gemini_workshop.training.parallel.distributed import joined
from gemini_workshop.training.watching.callbacks import Callback
from tests.training import stories


class Slowly(Callback):
    """Time to be killed in."""

    def stepped(self, step, metrics):
        time.sleep(0.02)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    try:
        with joined(torch.device("cpu"), timeout=timedelta(seconds=120)) as processes:
            (folder / f"process-{processes.rank}").write_text(str(os.getpid()))
            config = replace(stories.CONFIG, training=replace(stories.CONFIG.training, batch_size=4))
            stories.finish(stories.start(folder / "run", config, processes), Slowly())
    except TrainingError as error:
        sys.exit(str(error))
