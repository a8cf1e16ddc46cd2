"""Checkpoints: folders that are either whole or not there.

    CHECKPOINT/model.safetensors      the weights to use: their running mean, if the run keeps one
               training.safetensors   what going on needs: optimizer, random state, the weights behind a mean
               state.json             step (which is the place in the data, too), metrics, the loop's memory
               config.yaml            the whole configuration
               tokenizer.json
               SHA256SUMS             one line for each of the others, as `sha256sum --check` reads it

A checkpoint is written under a temporary name beside its place, flushed to the disk, and then renamed, which
is one indivisible step. A kill at any moment leaves the old checkpoints, the new one, or a temporary folder
that nothing reads; never half a checkpoint under a good name. A model that ships has neither state.json nor
training.safetensors.
"""

import json
import math
import os
import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor, nn

from gemini_workshop.config import WorkshopConfig, load_config, to_yaml
from gemini_workshop.data.files import sha256_of
from gemini_workshop.data.tokenizer import Tokenizer, load_tokenizer
from gemini_workshop.errors import CheckpointError, unknown_name
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.ema import WeightAverage
from gemini_workshop.training.processes import ALONE, Processes, broadcast_object
from gemini_workshop.training.sharded_files import is_share, read_tensors, write_tensors

SUMS = "SHA256SUMS"
SHIPPED = Path(__file__).parents[1] / "checkpoints"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """What a checkpoint folder holds, read and verified."""

    path: Path
    config: WorkshopConfig
    tokenizer: Tokenizer
    weights: dict[str, Tensor]
    step: int
    metrics: dict[str, float]
    loop: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    folder: Path,
    model: Transformer,
    optimizer: torch.optim.Optimizer,
    *,
    step: int,
    metrics: dict[str, float],
    config: WorkshopConfig,
    tokenizer: Tokenizer,
    average: WeightAverage | None = None,
    loop: dict[str, Any] | None = None,
    keep: int = 2,
    processes: Processes = ALONE,
) -> Path:
    """Write ``folder/step-NNNNNN`` as a whole or not at all, then remove all but the newest ``keep`` and the best.

    Of several processes all must call; each writes what it alone has a share of, and the first does the rest.

    Args:
        metrics: ``validation_nats``, measured after ``validation_step``, tells which checkpoint is the best.
        average: of the weights, to be used in their place.
        loop: what else the loop remembers, as plain data.

    Raises:
        CheckpointError: the folder cannot be written to, or is full.
    """
    target = folder / f"step-{step:06d}"
    writing = broadcast_object(folder / f".writing-{os.getpid()}", processes)
    averaged_steps = average.steps if average else 0
    state = {"step": step, "metrics": metrics, "loop": {**(loop or {}), "averaged_steps": averaged_steps}}
    try:
        if processes.is_first:
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(".writing-*"):
                shutil.rmtree(leftover)
            writing.mkdir()
        processes.wait()
        weights = model.state_dict() | (average.means if average else {})
        is_shared = any(is_share(weight) for weight in weights.values())
        write_tensors(writing / "model.safetensors", weights, processes, is_shared=is_shared)
        is_shared |= own_memory(optimizer) is not optimizer
        tensors = training_tensors(model, optimizer, average)
        write_tensors(writing / "training.safetensors", tensors, processes, is_shared=is_shared)
        if not processes.is_first:
            return target
        (writing / "state.json").write_text(json.dumps(state, indent=1), "utf-8")
        (writing / "config.yaml").write_text(to_yaml(config), "utf-8")
        tokenizer.save(writing / "tokenizer.json")
        write_sums(writing)
        if target.exists():
            shutil.rmtree(target)
        writing.rename(target)
        _flush(folder)
    except OSError as error:
        shutil.rmtree(writing, ignore_errors=True)  # a full disk stays full otherwise
        raise CheckpointError(
            f"The checkpoint of step {step} cannot be written to {folder}: {error.strerror or error}. "
            "Choose a folder that can be written to, with room for it: --out FOLDER."
        ) from error
    _remove_all_but(keep, folder, step)
    return target


def load_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint folder after verifying the sha256 of every file in it.

    Raises:
        CheckpointError: a file is missing, was changed, or does not say what it should.
    """
    check_sums(path)
    state: dict[str, Any] = {"step": 0, "metrics": {}}
    try:
        if (path / "state.json").exists():
            state = json.loads((path / "state.json").read_text("utf-8"))
        return Checkpoint(
            path=path,
            config=load_config(path / "config.yaml"),
            tokenizer=load_tokenizer(path / "tokenizer.json"),
            weights=load((path / "model.safetensors").read_bytes()),
            step=state["step"],
            metrics=state["metrics"],
            loop=state.get("loop", {}),
        )
    except (OSError, KeyError, json.JSONDecodeError, SafetensorError) as error:
        raise CheckpointError(f"The checkpoint {path} cannot be read: {error}. Take an earlier one.") from error


def load_newest(folder: Path) -> Checkpoint:
    """The newest checkpoint of a folder that is undamaged; a damaged one is passed over with a warning.

    Raises:
        CheckpointError: the folder holds none.
    """
    paths = checkpoint_paths(folder)
    for path in paths:
        try:
            return load_checkpoint(path)
        except CheckpointError as error:
            warnings.warn(f"{error} Falling back to the checkpoint before it.", stacklevel=2)
    found = f"no undamaged checkpoint among the {len(paths)}" if paths else "no checkpoint"
    raise CheckpointError(f"There is {found} in {folder}. Start the training without --resume.")


def checkpoint_paths(folder: Path) -> list[Path]:
    """The checkpoints of a run, newest first."""
    return sorted(folder.glob("step-*"), key=_step, reverse=True)


def best_checkpoint(folder: Path) -> Path | None:
    """The first checkpoint with the lowest validation loss, of those that were measured when they were saved."""
    measured = {path: _measured_nats(path) for path in reversed(checkpoint_paths(folder))}  # of equals, the first
    best = min(measured, key=lambda path: measured[path], default=None)
    return None if best is None or measured[best] == math.inf else best


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


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's memory as named tensors: ``exp_avg/blocks.0...``."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{key}/{names[parameter]}": value.contiguous()
        for parameter, memory in own_memory(optimizer).state.items()
        for key, value in memory.items()
    }


def own_memory(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimizer that remembers something in this process; ZeRO's is a part of the whole."""
    return getattr(optimizer, "optim", optimizer)


def training_tensors(
    model: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage | None = None
) -> dict[str, Tensor]:
    """What going on needs: the optimizer's memory, the random state, and the weights if their mean is saved as them."""
    tensors = optimizer_tensors(model, optimizer) | {"rng/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["rng/cuda"] = torch.cuda.get_rng_state()
    if average is not None:
        tensors |= {f"weight/{name}": weight.detach() for name, weight in model.named_parameters()}
    return tensors


@torch.no_grad()
def restore_training(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    checkpoint: Checkpoint,
    average: WeightAverage | None = None,
) -> None:
    """The way back from :func:`training_tensors`, so that training goes on as if it had never stopped.

    Raises:
        CheckpointError: the checkpoint holds a model only, as those that ship do.
    """
    path = checkpoint.path / "training.safetensors"
    if not path.exists():
        raise CheckpointError(f"{checkpoint.path} holds a model without the optimizer's state: training cannot go on.")
    parameters, optimizer = dict(model.named_parameters()), own_memory(optimizer)
    moved = {weight for group in optimizer.param_groups for weight in group["params"]}
    to_fill: dict[str, Tensor] = {}
    if average is not None:
        average.steps = checkpoint.loop["averaged_steps"]
        to_fill |= average.means
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118  (not a dictionary)
            key, _, parameter = name.partition("/")
            if key == "rng":
                _restore_random_state(parameter, file.get_tensor(name))
            elif key == "weight":
                to_fill[name] = parameters[parameter]
            elif (home := parameters[parameter]) in moved:
                is_alike = is_share(home) and file.get_slice(name).get_shape() == [*home.shape]
                memory = torch.zeros_like(home) if is_alike else file.get_tensor(name).to(home.device)
                optimizer.state[home][key] = memory
                to_fill |= {name: memory} if is_alike else {}
    read_tensors(checkpoint.path, to_fill)


def _restore_random_state(device: str, state: Tensor) -> None:
    if device == "cpu":
        torch.set_rng_state(state)
    elif torch.cuda.is_available():
        torch.cuda.set_rng_state(state)


def load_pretrained(
    name_or_path: str | Path = "stories-small", device: str | torch.device = "cpu"
) -> tuple[Transformer, Tokenizer]:
    """A trained model, ready to generate, and its tokenizer.

    Args:
        name_or_path: a checkpoint that ships with the package, a checkpoint folder, or the folder of a run
            (whose newest checkpoint is taken).

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
    """
    checkpoint = find_checkpoint(name_or_path)
    model = Transformer(checkpoint.config.model)
    restore_weights(model, checkpoint)
    return model.to(device).eval(), checkpoint.tokenizer


def find_checkpoint(name_or_path: str | Path) -> Checkpoint:
    """The checkpoint that :func:`load_pretrained` takes, as plain data."""
    path = Path(name_or_path)
    for place in (SHIPPED / path.name, path) if str(name_or_path) == path.name else (path,):
        if (place / "model.safetensors").exists():
            return load_checkpoint(place)
        if (place / "checkpoints").is_dir():
            return load_newest(place / "checkpoints")
    raise CheckpointError(
        unknown_name("checkpoint", str(name_or_path), shipped_names())
        + " The folder of a run (runs/NAME) or of one of its checkpoints is right, too."
    )


def shipped_names() -> list[str]:
    """The checkpoints that come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/model.safetensors"))


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS over all files of the folder but Markdown, and flush everything to the disk."""
    files = sorted(path for path in folder.iterdir() if path.suffix != ".md" and path.name != SUMS)
    lines = [f"{sha256_of(path)}  {path.name}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), "utf-8", newline="\n")
    for path in [*files, folder / SUMS, folder]:
        _flush(path)


def check_sums(folder: Path) -> None:
    """Compare every file with its line in SHA256SUMS.

    Raises:
        CheckpointError: one is missing or differs, or there is no list.
    """
    try:
        lines = (folder / SUMS).read_text("utf-8").splitlines()
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        damaged = [name for name, digest in sums.items() if sha256_of(folder / name) != digest]
    except (OSError, ValueError) as error:
        raise CheckpointError(f"The checkpoint {folder} is damaged: {error}.") from error
    if damaged or "model.safetensors" not in sums:
        names = ", ".join(damaged) or SUMS
        raise CheckpointError(f"The checkpoint {folder} is damaged: the sha256 of {names} differs from {SUMS}.")


def _flush(path: Path) -> None:
    """Make sure that a file or a folder's list of names is on the disk (Windows has no such call for folders)."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_all_but(keep: int, folder: Path, step: int) -> None:
    """Remove old checkpoints, and those ahead of this step: a run that is back before them found them damaged."""
    for path in checkpoint_paths(folder):
        if _step(path) > step:
            shutil.rmtree(path)
    best = best_checkpoint(folder)
    for path in checkpoint_paths(folder)[keep:]:
        if path != best:
            shutil.rmtree(path)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _measured_nats(path: Path) -> float:
    """The validation loss right at a checkpoint; infinite if it was not measured there, or cannot be read."""
    try:
        metrics = json.loads((path / "state.json").read_text("utf-8"))["metrics"]
        return metrics["validation_nats"] if metrics["validation_step"] == _step(path) else math.inf
    except (OSError, ValueError, KeyError):
        return math.inf
