"""The checkpoints of a run: all that training needs to continue as if it had never stopped.

    CHECKPOINT/training.safetensors   optimizer state, random state, and the weights, if there is a running mean of them
               state.json             step (which is also the place in the data), metrics, the rest of the state

and the files of any checkpoint, see gemini_workshop.checkpoint. With a running mean, model.safetensors holds the mean.

A checkpoint is written under a temporary name beside its place, flushed to the disk, and then renamed, which
is one indivisible step. A kill at any moment leaves the old checkpoints, the new one, or a temporary folder
that nothing reads; never half a checkpoint under a good name.
"""

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from gemini_workshop.checkpoint import Checkpoint, checkpoint_paths, step_of, write_model
from gemini_workshop.config import WorkshopConfig
from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.errors import CheckpointError
from gemini_workshop.files import whole_folder
from gemini_workshop.reading import read_json
from gemini_workshop.training.parallel.distributed import local_optimizer
from gemini_workshop.training.parallel.shards import gathered, sharded_like
from gemini_workshop.training.state import TrainingState


def save_checkpoint(
    folder: Path,
    state: TrainingState,
    *,
    metrics: dict[str, float],
    config: WorkshopConfig,
    tokenizer: Tokenizer,
    keep: int = 2,
) -> Path:
    """Write ``folder/step-NNNNNN`` as a whole or not at all, then remove all but the newest ``keep`` and the best.

    Of several processes all must call; the first writes what all of them hold.

    Args:
        metrics: ``validation_nats``, measured after ``validation_step``, decides which checkpoint is the best.

    Raises:
        CheckpointError: the folder cannot be written to, or is full.
    """
    target = folder / f"step-{state.step:06d}"
    weights = gathered(state.model.state_dict() | (state.average.means if state.average else {}), state.processes)
    tensors = gathered(training_tensors(state), state.processes)
    if not state.processes.is_first:
        return target
    with _refusals_explained(folder, state.step):
        for leftover in folder.glob(".step-*.tmp"):
            shutil.rmtree(leftover)
        with whole_folder(target) as writing:
            (writing / "training.safetensors").write_bytes(save(tensors))
            content = {"step": state.step, "metrics": metrics, "training": state.state_dict()}
            (writing / "state.json").write_text(json.dumps(content, indent=1), "utf-8")
            write_model(writing, weights, config, tokenizer)
    remove_all_but(keep, folder, state.step)
    return target


@contextmanager
def _refusals_explained(folder: Path, step: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"The checkpoint of step {step} cannot be written to {folder}: {error.strerror or error}. "
            "Choose a folder that can be written to, with room for it: --out FOLDER."
        ) from error


def training_tensors(state: TrainingState) -> dict[str, Tensor]:
    """What training.safetensors holds, as ``exp_avg/NAME``, ``rng/cpu`` and ``weight/NAME``."""
    tensors = optimizer_tensors(state) | {"rng/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["rng/cuda"] = torch.cuda.get_rng_state()
    if state.average is not None:
        tensors |= {f"weight/{name}": weight.detach() for name, weight in state.model.named_parameters()}
    return tensors


def optimizer_tensors(state: TrainingState) -> dict[str, Tensor]:
    """The optimizer state of this process as named tensors: ``exp_avg/blocks.0...``."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in state.model.named_parameters()}
    return {
        f"{key}/{names[parameter]}": value.contiguous()
        for parameter, values in local_optimizer(state.optimizer).state.items()
        for key, value in values.items()
    }


@torch.no_grad()
def restore_training(state: TrainingState, checkpoint: Checkpoint) -> None:
    """The way back from :func:`save_checkpoint`, so that training continues as if it had never stopped.

    The model's weights are those of the checkpoint's model file already. If that holds a running mean, it becomes the
    mean here, and the weights come from training.safetensors.

    Raises:
        CheckpointError: the checkpoint holds a model only, as those that ship do.
    """
    path = checkpoint.path / "training.safetensors"
    if not path.exists():
        raise CheckpointError(
            f"{checkpoint.path} holds a model without the optimizer state: its training cannot be resumed."
        )
    state.load_state_dict(checkpoint.training)
    for name, mean in state.average.means.items() if state.average else ():
        mean.copy_(sharded_like(checkpoint.weights[name], mean))
    parameters, optimizer = dict(state.model.named_parameters()), local_optimizer(state.optimizer)
    # With zero1, this process's optimizer moves only some of the weights.
    moved = {weight for group in optimizer.param_groups for weight in group["params"]}
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118  (not a dictionary)
            key, _, parameter = name.partition("/")
            value, home = file.get_tensor(name), parameters.get(parameter)
            if home is None:  # no weight: "rng/cpu" or "rng/cuda"
                _restore_random_state(parameter, value)
            elif key == "weight":
                home.copy_(sharded_like(value, home))
            elif home in moved:
                is_alike = value.shape == home.shape  # as a momentum is, and a count of steps is not
                optimizer.state[home][key] = sharded_like(value, home) if is_alike else value.to(home.device)


def _restore_random_state(device: str, state: Tensor) -> None:
    if device == "cpu":
        torch.set_rng_state(state)
    elif torch.cuda.is_available():
        torch.cuda.set_rng_state(state)


def best_checkpoint(folder: Path) -> Path | None:
    """The first checkpoint with the lowest validation loss, of those that were measured when they were saved."""
    measured = {path: _measured_nats(path) for path in reversed(checkpoint_paths(folder))}  # oldest first
    best = min(measured, key=lambda path: measured[path], default=None)
    return None if best is None or measured[best] == math.inf else best


def remove_all_but(keep: int, folder: Path, step: int) -> None:
    """Remove old checkpoints, and those of later steps: the run was resumed before them because they are damaged."""
    for path in checkpoint_paths(folder):
        if step_of(path) > step:
            shutil.rmtree(path)
    best = best_checkpoint(folder)
    for path in checkpoint_paths(folder)[keep:]:  # the newest come first
        if path != best:
            shutil.rmtree(path)


def _measured_nats(path: Path) -> float:
    """The validation loss right at a checkpoint; infinite if it was not measured there, or cannot be read."""
    try:
        metrics = read_json(path / "state.json")["metrics"]
        return float(metrics["validation_nats"]) if metrics["validation_step"] == step_of(path) else math.inf
    except (ValueError, KeyError, TypeError):
        return math.inf
