"""A run: one folder that holds all there is to know about one training.

RUN/run.json          corpus, size, and the sum of the text
    config.yaml       every setting
    tokenizer.json    learned from the corpus's training share
    checkpoints/      the newest few and the best, see :mod:`~gemini_workshop.training.checkpointing`
    history.jsonl     every step and measurement
    loss.png          the picture of it
    samples.txt       what the model wrote at each measurement
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from gemini_workshop.config import WorkshopConfig, to_yaml
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.data.dataset import TokenWindows, encode_documents, split_documents
from gemini_workshop.data.tokenizer import BPETokenizer, Tokenizer
from gemini_workshop.errors import CheckpointError, TrainingError
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.callbacks import Callback
from gemini_workshop.training.checkpointing import (
    Checkpoint,
    checkpoint_paths,
    load_newest,
    restore_training,
    restore_weights,
    save_checkpoint,
)
from gemini_workshop.training.distributed import check_shares, distributed, share_model, shared_optimizer
from gemini_workshop.training.ema import WeightAverage
from gemini_workshop.training.memory import keep_freed_memory
from gemini_workshop.training.precision import MeasuredPrecision, measure_precision
from gemini_workshop.training.processes import ALONE, Processes, broadcast_object
from gemini_workshop.training.trainer import Outcome, Patience, fit, gradient_scaler


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A corpus as the training sees it: split by document, then encoded."""

    tokenizer: Tokenizer
    train_ids: Int[Tensor, " N"]
    validation_ids: Int[Tensor, " M"]
    validation_bytes: int

    @property
    def sha256(self) -> str:
        """Of all ids: runs with equal sums read equal batches."""
        digest = hashlib.sha256()
        for ids in (self.train_ids, self.validation_ids):
            digest.update(ids.numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Everything that :func:`~gemini_workshop.training.trainer.fit` needs, and where to keep what comes of it."""

    folder: Path
    config: WorkshopConfig
    text: Text
    model: Transformer
    optimizer: torch.optim.Optimizer
    first_step: int
    average: WeightAverage | None
    patience: Patience
    scaler: torch.amp.GradScaler | None
    measured: MeasuredPrecision | None = None
    processes: Processes = ALONE

    @property
    def train_windows(self) -> TokenWindows:
        """The windows to learn from."""
        return windows_of(self.text.train_ids, self.config)

    @property
    def validation_windows(self) -> TokenWindows:
        """The windows to measure on."""
        return windows_of(self.text.validation_ids, self.config)

    def save(self, step: int, metrics: dict[str, float]) -> Path:
        """Write a checkpoint into the run's folder."""
        return save_checkpoint(
            self.folder / "checkpoints",
            self.model,
            self.optimizer,
            step=step,
            metrics=metrics,
            config=self.config,
            tokenizer=self.text.tokenizer,
            average=self.average,
            loop={
                "best_nats": self.patience.best if self.patience.best < math.inf else None,
                "measurements_since": self.patience.since,
                "scaler": self.scaler.state_dict() if self.scaler else None,
            },
            keep=self.config.training.keep_checkpoints,
            processes=self.processes,
        )


def start_run(
    folder: Path,
    config: WorkshopConfig,
    corpus: str,
    size: str,
    device: torch.device,
    processes: Processes = ALONE,
) -> Run:
    """Prepare a new run: make its folder, learn the tokenizer, encode the text, draw the initial weights.

    Of several processes the first prepares the text for all.

    Raises:
        TrainingError: the folder holds a run already, or cannot be written to.
        DataError: the corpus is unknown, empty or too short.
    """
    if checkpoint_paths(folder / "checkpoints"):
        step = checkpoint_paths(folder / "checkpoints")[0].name
        raise TrainingError(
            f"{folder} holds a run already, saved at {step}. Go on with it by --resume, or choose another --out."
        )
    check_shares(config.training, processes)
    text = broadcast_object(load_text(config, corpus, size) if processes.is_first else None, processes)
    assert text is not None
    for token_ids in (text.train_ids, text.validation_ids):
        windows_of(token_ids, config)  # what is wrong with them shows before a folder is made
    run = _prepared(folder, config, text, device, processes)
    if not processes.is_first:
        return run
    source = {"corpus": corpus, "size": size, "text_sha256": text.sha256}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(to_yaml(run.config), "utf-8")
        (folder / "run.json").write_text(json.dumps(source, indent=1), "utf-8")
        text.tokenizer.save(folder / "tokenizer.json")
    except OSError as error:
        raise TrainingError(
            f"The run cannot be written to {folder}: {error.strerror}. Choose a folder that can: --out FOLDER."
        ) from error
    return run


def resume_run(folder: Path, device: torch.device, processes: Processes = ALONE) -> Run:
    """Prepare to go on where the newest good checkpoint of a run stands, with the settings of that run.

    It may go on in another number of processes.

    Raises:
        CheckpointError: the folder holds no run, or none of its checkpoints is whole.
        TrainingError: the corpus is no longer the text that the run began with.
    """
    if not (folder / "run.json").exists():
        raise CheckpointError(f"There is no run in {folder} to go on with. Leave --resume away, or name its --out.")
    checkpoint = load_newest(folder / "checkpoints")
    source = json.loads((folder / "run.json").read_text("utf-8"))
    text = load_text(checkpoint.config, source["corpus"], source["size"], checkpoint.tokenizer)
    if source.get("text_sha256", text.sha256) != text.sha256:
        raise TrainingError(
            f"The corpus {source['corpus']} is no longer the text that {folder} began with: its sum is "
            f"{text.sha256[:8]}..., not {source['text_sha256'][:8]}.... Bring the old text back, or start a new run."
        )
    run = _prepared(folder, checkpoint.config, text, device, processes, checkpoint)
    restore_training(run.model, run.optimizer, checkpoint, run.average)
    loop = checkpoint.loop
    if loop.get("best_nats") is not None:
        run.patience.best, run.patience.since = loop["best_nats"], loop["measurements_since"]
    if run.scaler is not None and loop.get("scaler"):
        run.scaler.load_state_dict(loop["scaler"])
    return replace(run, first_step=checkpoint.step)


def train_run(run: Run, callbacks: Sequence[Callback] = (), minutes: float | None = None, **more: Any) -> Outcome:
    """Call :func:`~gemini_workshop.training.trainer.fit` with all parts of a run.

    Args:
        more: what ``fit`` takes besides.

    Raises:
        TrainingError: as ``fit``; also if the run's folder is full, or can no longer be written to.
    """
    keep_freed_memory()
    try:
        return fit(
            run.model,
            run.optimizer,
            run.train_windows,
            run.validation_windows,
            run.config.training,
            first_step=run.first_step,
            callbacks=callbacks,
            minutes=minutes,
            average=run.average,
            patience=run.patience,
            scaler=run.scaler,
            processes=run.processes,
            distribute=lambda objective: distributed(objective, run.processes),
            **more,
        )
    except OSError as error:
        saved = checkpoint_paths(run.folder / "checkpoints")
        raise TrainingError(
            f"The run in {run.folder} cannot be written any more: {error.strerror or error}. "
            f"{f'Saved is {saved[0].name}' if saved else 'Nothing is saved yet'}. Make room, and go on with --resume."
        ) from error


def windows_of(token_ids: Int[Tensor, " N"], config: WorkshopConfig) -> TokenWindows:
    """A text as windows for a model, its ids checked against the vocabulary."""
    return TokenWindows(token_ids, config.model.context_tokens, config.model.vocab_size)


def _prepared(
    folder: Path,
    config: WorkshopConfig,
    text: Text,
    device: torch.device,
    processes: Processes,
    checkpoint: Checkpoint | None = None,
) -> Run:
    """A run before its first step; what the configuration leaves to a measurement is measured."""
    model = Transformer(config.model, torch.Generator().manual_seed(config.training.seed)).to(device)
    if checkpoint is not None:
        restore_weights(model, checkpoint)
    measured = _measured_precision(model, text, config, processes) if config.training.precision == "auto" else None
    if measured is not None:
        config = replace(config, training=replace(config.training, precision=measured.fastest))
    share_model(model, config.training, processes)
    torch.manual_seed(config.training.seed)  # whatever the process did before, the run draws the same numbers
    training = config.training
    return Run(
        folder=folder,
        config=config,
        text=text,
        model=model,
        optimizer=shared_optimizer(model, training, processes),
        first_step=0,
        average=None if training.ema_decay is None else WeightAverage(model, training.ema_decay),
        patience=Patience(training.patience_evals),
        scaler=gradient_scaler(training, device),
        measured=measured,
        processes=processes,
    )


def _measured_precision(
    model: Transformer, text: Text, config: WorkshopConfig, processes: Processes
) -> MeasuredPrecision:
    """What the first process measures on a batch of the run counts for all."""
    windows, training = windows_of(text.train_ids, config), config.training
    inputs, _ = windows.batch(0, training.batch_size // training.accumulation_steps // processes.count, training.seed)
    measured = measure_precision(model, inputs) if processes.is_first else None
    found = broadcast_object(measured, processes)
    assert isinstance(found, MeasuredPrecision)
    return found


def load_text(config: WorkshopConfig, corpus: str, size: str = "all", tokenizer: Tokenizer | None = None) -> Text:
    """Load a corpus, split it by document, and encode both shares.

    Args:
        corpus: one name, or several joined by +; one that stands twice is read twice as often.
        tokenizer: to encode with; without one, a byte-level BPE is learned from the training share.

    Raises:
        TrainingError: the tokenizer's vocabulary is not the model's.
    """
    documents = [document for name in corpus.split("+") for document in load_documents(name, size)]
    train, validation = split_documents(documents, config.training.validation_fraction)
    if tokenizer is None:
        tokenizer = BPETokenizer.train(train, config.model.vocab_size)
    if tokenizer.vocab_size != config.model.vocab_size:
        raise TrainingError(
            f"The tokenizer has vocab_size={tokenizer.vocab_size}, the model vocab_size={config.model.vocab_size}. "
            f"Set --set vocab_size={tokenizer.vocab_size}, or train a new tokenizer."
        )
    return Text(
        tokenizer=tokenizer,
        train_ids=encode_documents(train, tokenizer),
        validation_ids=encode_documents(validation, tokenizer),
        validation_bytes=sum(len(document.encode()) for document in validation),
    )
