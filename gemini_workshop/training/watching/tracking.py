"""Send what is measured to TensorBoard or to Weights & Biases, where several runs can be compared.

Both are optional: ``pip install "gemini-from-scratch[tracking]"``. What they show is in ``history.jsonl`` as well.
"""

# ruff: noqa: ARG002  (a hook takes what every hook of its name takes)

import importlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gemini_workshop.errors import TrainingError, unknown_name
from gemini_workshop.training.watching.callbacks import Callback, StepMetrics

Figures = Callable[[], Mapping[str, float]]


class TensorBoard(Callback):
    """Every figure as a curve in ``RUN/tensorboard``; look at it with ``tensorboard --logdir runs``.

    Args:
        hardware: figures to add, such as those of the hardware monitor.

    Raises:
        TrainingError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, hardware: Figures = dict) -> None:
        need("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self.open = lambda first_step: SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)
        self.hardware = hardware

    def started(self, first_step: int, steps: int) -> None:
        """Open the file, and hide what an earlier part of the run wrote after this step."""
        self.writer = self.open(first_step)

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Write the step's figures."""
        for name, value in figures(metrics, self.hardware()).items():
            self.writer.add_scalar(name, value, step)

    def ended(self, step: int) -> None:
        """Close the file."""
        self.writer.close()


class WeightsAndBiases(Callback):
    """Every figure as a curve of a run of Weights & Biases; offline with WANDB_MODE=offline.

    Args:
        settings: the whole configuration, which is shown beside the curves.

    Raises:
        TrainingError: wandb is not installed.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], hardware: Figures = dict) -> None:
        self.wandb = need("wandb")
        self.folder, self.settings, self.hardware = folder, settings, hardware

    def started(self, first_step: int, steps: int) -> None:
        """Begin a run there, or resume the one that this folder began."""
        name = self.folder / "wandb-id"
        if not name.exists():
            name.write_text(uuid.uuid4().hex, "ascii")
        self.run = self.wandb.init(
            project="gemini-workshop",
            name=self.folder.name,
            id=name.read_text("ascii"),
            resume="allow",
            dir=str(self.folder),
            config=dict(self.settings),
        )

    def stepped(self, step: int, metrics: StepMetrics) -> None:
        """Send the step's figures."""
        self.run.log(figures(metrics, self.hardware()), step=step)

    def ended(self, step: int) -> None:
        """Send what remains."""
        self.run.finish()


TRACKERS = ("tensorboard", "wandb")


def check_trackers(names: Iterable[str]) -> None:
    """Make sure that each exists and is installed, before a run begins.

    Raises:
        TrainingError: one does not.
    """
    for name in names:
        if name not in TRACKERS:
            raise TrainingError(unknown_name("tracker", name, TRACKERS))
        need(name)


def make_tracker(name: str, folder: Path, settings: Mapping[str, Any], hardware: Figures) -> Callback:
    """The tracker of a name out of ``TRACKERS``."""
    return TensorBoard(folder, hardware) if name == "tensorboard" else WeightsAndBiases(folder, settings, hardware)


def figures(metrics: StepMetrics, hardware: Mapping[str, float]) -> dict[str, float]:
    """All that was measured at a step, by name."""
    return {name: value for name, value in asdict(metrics).items() if value is not None} | dict(hardware)


def need(package: str) -> Any:
    """An optional package, imported.

    Raises:
        TrainingError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise TrainingError(
            f"{package} is not installed ({error}). "
            'Install it with pip install "gemini-from-scratch[tracking]", or train without --track.'
        ) from None
