"""A run: one folder that holds all there is to know about one training.

RUN/run.json          corpus and size
    config.yaml       every setting
    tokenizer.json    learned from the corpus's training share
    checkpoints/      the newest few, see :mod:`~gemini_workshop.training.checkpointing`
    history.jsonl     every step and measurement
    loss.png          the picture of it
    samples.txt       what the model wrote at each measurement
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from gemini_workshop.config import WorkshopConfig, to_yaml
from gemini_workshop.data.corpora import load_documents
from gemini_workshop.data.dataset import TokenWindows, encode_documents, split_documents
from gemini_workshop.data.tokenizer import BPETokenizer, Tokenizer
from gemini_workshop.errors import CheckpointError, TrainingError
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.checkpointing import (
    checkpoint_paths,
    load_newest,
    restore_optimizer,
    restore_weights,
    save_checkpoint,
)
from gemini_workshop.training.optimizer import make_optimizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A corpus as the training sees it: split by document, then encoded."""

    tokenizer: Tokenizer
    train_ids: Int[Tensor, " N"]
    validation_ids: Int[Tensor, " M"]
    validation_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Everything that :func:`~gemini_workshop.training.trainer.fit` needs, and where to keep what comes of it."""

    folder: Path
    config: WorkshopConfig
    text: Text
    model: Transformer
    optimizer: torch.optim.Optimizer
    first_step: int

    @property
    def train_windows(self) -> TokenWindows:
        """The windows to learn from."""
        return TokenWindows(self.text.train_ids, self.config.model.context_tokens)

    @property
    def validation_windows(self) -> TokenWindows:
        """The windows to measure on."""
        return TokenWindows(self.text.validation_ids, self.config.model.context_tokens)

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
            keep=self.config.training.keep_checkpoints,
        )


def start_run(folder: Path, config: WorkshopConfig, corpus: str, size: str, device: torch.device) -> Run:
    """Prepare a new run: make its folder, learn the tokenizer, encode the text, draw the initial weights.

    Raises:
        TrainingError: the folder holds a run already, or cannot be written to.
        DataError: the corpus is unknown, empty or too short.
    """
    if checkpoint_paths(folder / "checkpoints"):
        step = checkpoint_paths(folder / "checkpoints")[0].name
        raise TrainingError(
            f"{folder} holds a run already, saved at {step}. Go on with it by --resume, or choose another --out."
        )
    text = load_text(config, corpus, size)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(to_yaml(config), "utf-8")
        (folder / "run.json").write_text(json.dumps({"corpus": corpus, "size": size}), "utf-8")
        text.tokenizer.save(folder / "tokenizer.json")
    except OSError as error:
        raise TrainingError(
            f"The run cannot be written to {folder}: {error.strerror}. Choose a folder that can: --out FOLDER."
        ) from error
    generator = torch.Generator().manual_seed(config.training.seed)
    model = Transformer(config.model, generator).to(device)
    optimizer = make_optimizer(model, config.training)
    return Run(folder=folder, config=config, text=text, model=model, optimizer=optimizer, first_step=0)


def resume_run(folder: Path, device: torch.device) -> Run:
    """Prepare to go on where the newest good checkpoint of a run stands, with the settings of that run.

    Raises:
        CheckpointError: the folder holds no run, or none of its checkpoints is whole.
    """
    if not (folder / "run.json").exists():
        raise CheckpointError(f"There is no run in {folder} to go on with. Leave --resume away, or name its --out.")
    checkpoint = load_newest(folder / "checkpoints")
    config = checkpoint.config
    source = json.loads((folder / "run.json").read_text("utf-8"))
    text = load_text(config, source["corpus"], source["size"], checkpoint.tokenizer)
    model = Transformer(config.model).to(device)
    restore_weights(model, checkpoint)
    optimizer = make_optimizer(model, config.training)
    restore_optimizer(model, optimizer, checkpoint)
    return Run(folder=folder, config=config, text=text, model=model, optimizer=optimizer, first_step=checkpoint.step)


def load_text(config: WorkshopConfig, corpus: str, size: str = "all", tokenizer: Tokenizer | None = None) -> Text:
    """Load a corpus, split it by document, and encode both shares.

    Args:
        tokenizer: to encode with; without one, a byte-level BPE is learned from the training share.

    Raises:
        TrainingError: the tokenizer's vocabulary is not the model's.
    """
    documents = load_documents(corpus, size)
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
