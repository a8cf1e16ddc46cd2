"""A run: one folder that contains everything about one training.

RUN/run.json          corpus, size, the folder of its shards, the checksum of their tokens, where the weights came from
    config.yaml       every setting
    tokenizer.json    learned from the training split, or the tokenizer of the model that the run began with
    shards/           the text as tokens, unless a folder of shards was given
    checkpoints/      the newest few and the best, see :mod:`~gemini_workshop.training.resume`
    history.jsonl     every step and measurement
    resources.jsonl   memory, processor, GPU and speed, every ten seconds
    loss.png          the loss curve
    samples.txt       what the model wrote at each measurement

The last four are written by the callbacks that the command ``train`` attaches, see gemini_workshop.training.watching.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gemini_workshop.checkpoint import Checkpoint, checkpoint_paths, load_newest, restore_weights
from gemini_workshop.config import TrainingConfig, WorkshopConfig, to_yaml
from gemini_workshop.data.batches.source import BatchSource
from gemini_workshop.data.batches.text import Text, open_text
from gemini_workshop.data.conversations.folder import CONVERSATIONS_FILE, Conversations
from gemini_workshop.data.tasks.mixture import MIXTURE_FILE, TaskMixture, open_mixture
from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.errors import CheckpointError, DataError, TrainingError, WorkshopError
from gemini_workshop.files import sha256_of, write_atomically
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.lora import add_lora, has_lora
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.reading import read_json
from gemini_workshop.training.endings import Outcome
from gemini_workshop.training.loop import fit
from gemini_workshop.training.memory import keep_freed_memory
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.parallel.distributed import check_batch_size
from gemini_workshop.training.parallel.processes import ALONE, Processes, from_first
from gemini_workshop.training.precision import MeasuredPrecision, measure_precision
from gemini_workshop.training.resume import remove_all_but, restore_training, save_checkpoint
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.watching.callbacks import Callback

TASKS = "tasks"  # in place of a corpus: the mixture of all tasks, or of those named after a colon


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A model, what it is trained on, and the folder for what comes of it.

    Attributes:
        measured: how fast each number format is here, if the configuration leaves the choice to a measurement.
    """

    folder: Path
    config: WorkshopConfig
    text: Text | TaskMixture | Conversations
    source: BatchSource
    state: TrainingState
    measured: MeasuredPrecision | None = None

    def save(self, metrics: dict[str, float]) -> Path:
        """Write a checkpoint into the run's folder."""
        return save_checkpoint(
            self.folder / "checkpoints",
            self.state,
            metrics=metrics,
            config=self.config,
            tokenizer=self.text.tokenizer,
            keep=self.config.training.keep_checkpoints,
        )


def start_run(
    folder: Path,
    config: WorkshopConfig,
    corpus: str,
    size: str,
    device: torch.device,
    processes: Processes = ALONE,
    *,
    beginning: Checkpoint | None = None,
) -> Run:
    """Prepare a new run: its folder, its text as tokens, and the initial weights.

    Of several processes the first prepares the text for all; if it cannot, all raise its error.

    Args:
        corpus: a name, several joined by +, a file, or a folder of shards: what :func:`open_text` reads; or "tasks",
            for the mixture of all tasks, or "tasks:digits,stories", for some of them.
        beginning: a trained model, whose weights and tokenizer the run begins with.

    Raises:
        TrainingError: the folder contains a run already, or cannot be written to.
        DataError: the corpus is unknown, empty or too short, or its shards are another tokenizer's.
        CheckpointError: the weights to begin with do not fit the configuration.
    """
    check_is_new(folder)
    check_batch_size(config.training, processes)
    try:
        tokenizer = None if beginning is None else beginning.tokenizer
        shards = from_first(lambda: _open(corpus, size, folder / "shards", config, tokenizer).folder, processes)
        text = _reopen(shards)
        run = _prepared(folder, config, text, device, processes, beginning)
        if processes.is_first:
            place = str(shards.relative_to(folder)) if shards.is_relative_to(folder) else str(shards.absolute())
            source = {"corpus": corpus, "size": size, "shards": place, "text_sha256": run.source.sha256}
            if beginning is not None:
                weights = next(beginning.path.glob("model.safetensors*"))  # or the list of several files
                source |= {"from": beginning.path.name, "from_sha256": sha256_of(weights)}
            write_atomically(folder / "config.yaml", to_yaml(run.config).encode())
            write_atomically(folder / "run.json", json.dumps(source, indent=1).encode())
            text.tokenizer.save(folder / "tokenizer.json")
    except WorkshopError:
        if not Path(corpus, "train").is_dir():  # shards that were given stay
            shutil.rmtree(folder / "shards", ignore_errors=True)
        with suppress(OSError):
            folder.rmdir()
        raise
    except OSError as error:
        raise TrainingError(
            f"The run cannot be written to {folder}: {error.strerror}. Choose a folder that can: --out FOLDER."
        ) from error
    return run


def check_is_new(folder: Path) -> None:
    """Refuse a folder whose run a new one would replace.

    Raises:
        TrainingError: it contains a run.
    """
    if saved := checkpoint_paths(folder / "checkpoints"):
        raise TrainingError(
            f"{folder} already contains a run, saved at {saved[0].name}. Resume it with --resume, or choose another "
            "--out."
        )


def resume_run(folder: Path, device: torch.device, processes: Processes = ALONE) -> Run:
    """Prepare to continue from the newest good checkpoint of a run, with the settings of that run.

    The number of processes may be another.

    Raises:
        CheckpointError: the folder contains no run, or none of its checkpoints is whole.
        TrainingError: the text is no longer the one that the run began with.
    """
    if not (folder / "run.json").exists():
        raise CheckpointError(f"There is no run in {folder} to resume. Remove --resume, or name the folder with --out.")
    checkpoint = load_newest(folder / "checkpoints")
    run = _prepared(folder, checkpoint.config, text_of(folder), device, processes, checkpoint)
    expected = read_source(folder)["text_sha256"]
    if expected != run.source.sha256:
        raise TrainingError(
            f"The text in {run.text.folder} is no longer the one that {folder} began with: its checksum is "
            f"{run.source.sha256[:8]}..., not {expected[:8]}.... Restore the old text, or start a new run."
        )
    restore_training(run.state, checkpoint)
    if processes.is_first:  # a kill may have come before this was done
        remove_all_but(run.config.training.keep_checkpoints, folder / "checkpoints", run.state.step)
    return run


def text_of(folder: Path) -> Text | TaskMixture | Conversations:
    """The text, or the tasks, that a run is trained on."""
    return _reopen(folder / read_source(folder)["shards"])


def read_source(folder: Path) -> dict[str, str]:
    """What run.json says about the text of a run.

    Raises:
        CheckpointError: it cannot be read, or lacks the place of the text or its sum.
    """
    try:
        source = read_json(folder / "run.json")
    except DataError as error:
        raise CheckpointError(str(error)) from None
    for name in ("shards", "text_sha256"):
        value = source.get(name) if isinstance(source, dict) else None
        if not isinstance(value, str):
            raise CheckpointError(
                f"{folder / 'run.json'} is damaged: {name}={value!r} is not a text. Restore it, or start a new run."
            )
    return source


def _open(
    corpus: str, size: str, folder: Path, config: WorkshopConfig, tokenizer: Tokenizer | None
) -> Text | TaskMixture | Conversations:
    if (Path(corpus) / CONVERSATIONS_FILE).exists():
        return Conversations.open(corpus)
    kind, _, names = corpus.partition(":")
    if kind == TASKS:
        return open_mixture(folder, config, tokenizer, names.split(",") if names else ())
    return open_text(corpus, size, folder, config, tokenizer)


def _reopen(folder: Path) -> Text | TaskMixture | Conversations:
    if (folder / CONVERSATIONS_FILE).exists():
        return Conversations.open(folder)
    return TaskMixture.open(folder) if (folder / MIXTURE_FILE).exists() else Text.open(folder)


def train_run(run: Run, callbacks: Sequence[Callback] = (), minutes: float | None = None) -> Outcome:
    """Train a run with :func:`~gemini_workshop.training.loop.fit`, and save it.

    Raises:
        TrainingError: as ``fit``; also if the run's folder is full, or can no longer be written to.
    """
    keep_freed_memory()
    try:
        return fit(run.state, run.source, callbacks, save=run.save, minutes=minutes)
    except OSError as error:
        saved = checkpoint_paths(run.folder / "checkpoints")
        raise TrainingError(
            f"The run in {run.folder} could not be written: {error.strerror or error}. "
            f"{f'Saved is {saved[0].name}' if saved else 'Nothing is saved yet'}. Free some disk space, then resume "
            "with --resume."
        ) from error


def _prepared(
    folder: Path,
    config: WorkshopConfig,
    text: Text | TaskMixture | Conversations,
    device: torch.device,
    processes: Processes,
    checkpoint: Checkpoint | None = None,
) -> Run:
    """A run before its first step, or with the weights of a checkpoint.

    The weights are loaded before ``TrainingState.begin`` splits them among the processes. The measured precision is
    written into the configuration, and so into every checkpoint: a run that is resumed does not measure again.
    """
    source = text.source(config)
    model = Transformer(config.model, torch.Generator().manual_seed(config.training.seed)).to(device)
    is_adapted = checkpoint is not None and has_lora(checkpoint.weights)  # by the run that is resumed
    if is_adapted:
        _add_lora(model, config.training)
    if checkpoint is not None:
        restore_weights(model, checkpoint)
    if config.training.lora_rank is not None and not is_adapted:
        _add_lora(model, config.training)
    accelerate(model)
    measured = _measured_precision(model, source, config, processes) if config.training.precision == "auto" else None
    if measured is not None:
        config = replace(config, training=replace(config.training, precision=measured.fastest))
    state = TrainingState.begin(NextTokenPrediction(model, config.training, processes))
    torch.manual_seed(config.training.seed)  # whatever the process did before, the run draws the same numbers
    return Run(folder=folder, config=config, text=text, source=source, state=state, measured=measured)


def _add_lora(model: Transformer, config: TrainingConfig) -> None:
    if config.lora_rank is not None:
        add_lora(model, config.lora_rank, config.lora_alpha, torch.Generator().manual_seed(config.seed))


def _measured_precision(
    model: Transformer, source: BatchSource, config: WorkshopConfig, processes: Processes
) -> MeasuredPrecision:
    """What the first process measures on a batch of the run is used by all."""
    batch = source.batch(0).split(config.training.accumulation_steps * processes.count)[0]
    return from_first(lambda: measure_precision(model, batch.inputs), processes)
