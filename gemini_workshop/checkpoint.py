"""Checkpoints: folders with a model, its configuration and its tokenizer. Find, verify, load and save them.

    CHECKPOINT/model.safetensors      the weights to use: their running mean, if the run keeps one
               config.yaml            the whole configuration
               tokenizer.json
               SHA256SUMS             one line for each of the others, as `sha256sum --check` reads it
               training.safetensors   only in the folder of a run: see gemini_workshop.training.resume
               state.json             also

Before a file is read, its sha256 is compared with its line in SHA256SUMS.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gemini_workshop.config import WorkshopConfig, load_config, to_yaml
from gemini_workshop.data.tokenizers import ImportedTokenizer, Tokenizer, load_tokenizer
from gemini_workshop.errors import CheckpointError, WorkshopError, unknown_name
from gemini_workshop.files import sha256_of, whole_folder
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.families import load_huggingface
from gemini_workshop.models.lora import has_lora, merge_lora
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.reading import read_json, read_text, shortened

SUMS = "SHA256SUMS"
SUM_LINE = re.compile("[0-9a-f]{64}  .+")
NEEDED = ("model.safetensors", "config.yaml", "tokenizer.json")
STEP = re.compile("step-[0-9]{6,18}")  # not a copy of one: "step-000120 (1)"
SHIPPED = Path(__file__).parent / "checkpoints"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """What a checkpoint folder holds, read and verified.

    Attributes:
        training: in the folder of a run, the rest of the training state; see gemini_workshop.training.state.
    """

    path: Path
    config: WorkshopConfig
    tokenizer: Tokenizer
    weights: dict[str, Tensor]
    step: int
    metrics: dict[str, float]
    training: dict[str, Any] = field(default_factory=dict)


def load_pretrained(
    name_or_path: str | Path = "stories-small", device: str | torch.device = "cpu"
) -> tuple[Transformer, Tokenizer]:
    """A trained model, ready to generate, and its tokenizer.

    Args:
        name_or_path: a checkpoint that ships with the package, a checkpoint folder, the folder of a run (whose newest
            checkpoint is taken), or a folder for transformers.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
    """
    checkpoint = find_checkpoint(name_or_path)
    model = Transformer(checkpoint.config.model)
    restore_weights(model, checkpoint)
    accelerate(model)
    return model.to(device).eval(), checkpoint.tokenizer


def find_checkpoint(name_or_path: str | Path) -> Checkpoint:
    """The checkpoint that :func:`load_pretrained` takes, as plain data; what LoRA has learned is in its matrices."""
    found = _found(name_or_path)
    if not has_lora(found.weights):
        return found
    training = found.config.training
    config = replace(found.config, training=replace(training, lora_rank=None))
    return replace(found, config=config, weights=merge_lora(found.weights, training.lora_alpha))


def _found(name_or_path: str | Path) -> Checkpoint:
    path = Path(name_or_path)
    for place in (SHIPPED / path.name, path) if str(name_or_path) == path.name else (path,):
        if (place / "config.json").exists() and not (place / SUMS).exists():
            return load_published(place)
        if (place / "model.safetensors").exists():
            return load_checkpoint(place)
        if (place / "checkpoints").is_dir():
            return load_newest(place / "checkpoints")
    raise CheckpointError(
        unknown_name("checkpoint", str(name_or_path), shipped_names())
        + " Or give the folder of a run (runs/NAME), of one of its checkpoints, or of a model for transformers."
    )


def shipped_names() -> list[str]:
    """The checkpoints that come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/model.safetensors"))


def load_newest(folder: Path) -> Checkpoint:
    """The newest undamaged checkpoint of a folder; a damaged one is skipped with a warning.

    Raises:
        CheckpointError: the folder holds none.
    """
    paths = checkpoint_paths(folder)
    for path in paths:
        try:
            return load_checkpoint(path)
        except CheckpointError as error:
            warnings.warn(f"{error} Falling back to the previous checkpoint.", stacklevel=2)
    found = f"no undamaged checkpoint among the {len(paths)}" if paths else "no checkpoint"
    raise CheckpointError(f"There is {found} in {folder}. Start the training without --resume.")


def load_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint folder after verifying the sha256 of every file in it.

    Raises:
        CheckpointError: a file is missing, was changed, or cannot be understood.
    """
    check_sums(path)
    state: dict[str, Any] = {"step": 0, "metrics": {}}
    try:
        if (path / "state.json").exists():
            state = read_json(path / "state.json")
        return Checkpoint(
            path=path,
            config=load_config(path / "config.yaml"),
            tokenizer=load_tokenizer(path / "tokenizer.json"),
            weights=load((path / "model.safetensors").read_bytes()),
            step=state["step"],
            metrics=state["metrics"],
            training=state.get("training", {}),
        )
    except (OSError, KeyError, TypeError, WorkshopError, SafetensorError) as error:
        raise CheckpointError(f"The checkpoint {path} cannot be read: {error}. Take an earlier one.") from error


def load_published(folder: Path) -> Checkpoint:
    """A model for transformers, read as a checkpoint. Of a model with images and audio, the decoder alone.

    Raises:
        CheckpointError: a file is missing or damaged, or the weights do not fit.
        DataError: its tokenizer cannot be read.
        WorkshopError: this decoder does not support the model.
    """
    model = load_huggingface(folder, text_only=True)
    tokenizer = ImportedTokenizer.from_folder(folder, model.config.vocab_size)
    config = replace(load_config("tiny"), model=model.config)  # with the usual settings of training and generation
    return Checkpoint(path=folder, config=config, tokenizer=tokenizer, weights=model.state_dict(), step=0, metrics={})


def checkpoint_paths(folder: Path) -> list[Path]:
    """The checkpoints of a run, newest first: its own folders, not files or links of such a name."""
    paths = (path for path in folder.glob("step-*") if STEP.fullmatch(path.name))
    return sorted((path for path in paths if path.is_dir() and not path.is_symlink()), key=step_of, reverse=True)


def step_of(path: Path) -> int:
    """The step after which a checkpoint was saved, from its name."""
    return int(path.name.removeprefix("step-"))


def restore_weights(model: Transformer, checkpoint: Checkpoint) -> None:
    """Copy the checkpoint's weights into the model, in the model's own number format.

    Raises:
        CheckpointError: names or shapes differ; all of them are listed.
    """
    have = {name: tuple(tensor.shape) for name, tensor in checkpoint.weights.items()}
    need = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    differing = [
        f"{name} is {have.get(name, 'missing')}, not {need.get(name, 'wanted')}"
        for name in sorted(have.keys() | need.keys())
        if have.get(name) != need.get(name)
    ]
    if differing:
        raise CheckpointError(f"The weights in {checkpoint.path} do not fit the model: {'; '.join(differing)}.")
    model.load_state_dict(checkpoint.weights)


def save_model(folder: Path, weights: Mapping[str, Tensor], config: WorkshopConfig, tokenizer: Tokenizer) -> None:
    """Save a model as a checkpoint that :func:`load_pretrained` reads; a folder that is there is replaced."""
    with whole_folder(folder) as writing:
        write_model(writing, weights, config, tokenizer)


def write_model(folder: Path, weights: Mapping[str, Tensor], config: WorkshopConfig, tokenizer: Tokenizer) -> None:
    """Write a model's files into a folder, and SHA256SUMS over all that the folder holds then."""
    (folder / "model.safetensors").write_bytes(save(dict(weights)))
    (folder / "config.yaml").write_text(to_yaml(config), "utf-8", newline="\n")
    tokenizer.save(folder / "tokenizer.json")
    write_sums(folder)


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS over all files of the folder but Markdown."""
    files = sorted(path for path in folder.iterdir() if path.suffix != ".md" and path.name != SUMS)
    lines = [f"{sha256_of(path)}  {path.name}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), "utf-8", newline="\n")


def check_sums(folder: Path) -> None:
    """Compare every file with its line in SHA256SUMS.

    Raises:
        CheckpointError: one is missing or differs, or there is no list.
    """
    try:
        lines = read_text(folder / SUMS, "a checkpoint", is_ours=True).splitlines()
        if strange := [line for line in lines if not SUM_LINE.fullmatch(line)]:
            raise ValueError(f"{SUMS} has the line {shortened(strange[0])!r}, which is not a sum and a name")
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        if foreign := [name for name in sums if Path(name).name != name or not (folder / name).is_file()]:
            raise ValueError(f"{SUMS} names {', '.join(foreign)}, which is not a file in it")
        damaged = [name for name, digest in sums.items() if sha256_of(folder / name) != digest]
    except (OSError, ValueError) as error:
        raise CheckpointError(f"The checkpoint {folder} is damaged: {error}.") from error
    if damaged:
        names = ", ".join(damaged)
        raise CheckpointError(f"The checkpoint {folder} is damaged: the sha256 of {names} differs from {SUMS}.")
    if unlisted := [name for name in NEEDED if name not in sums]:
        raise CheckpointError(f"The checkpoint {folder} is damaged: {SUMS} has no line for {', '.join(unlisted)}.")
