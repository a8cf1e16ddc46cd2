"""A training loop in its plainest form: what lesson 11 builds, part for part.

    the gradient of the mean loss over all targets of a batch, part by part  ->  clipped  ->  optimizer

The loop of the course, :mod:`.loop` with :mod:`.step` and :mod:`.resume`, can do much more: several processes, 16-bit
numbers, experts, a running mean of the weights.

Source: clipping: Pascanu et al. 2013, arXiv:1211.5063, algorithm 1.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gemini_workshop.data.batches.batch import IGNORE_INDEX
from gemini_workshop.training.losses import cross_entropy


def clip_gradients(weights: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by one factor, in place, so that together they have a norm of at most ``max_norm``.

    Returns:
        The norm before.

    Example:
        >>> weight = torch.zeros(2)
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> clip_gradients([weight], max_norm=1.0), weight.grad
        (5.0, tensor([0.6000, 0.8000]))
    """
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = sum(float(gradient.square().sum()) for gradient in gradients) ** 0.5
    if norm > max_norm:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return norm


def accumulate_gradients(model: nn.Module, parts: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Add to ``weight.grad`` the gradient of the mean loss over all targets of all parts, one part at a time.

    Args:
        parts: inputs and targets. Targets that are IGNORE_INDEX do not count.

    Returns:
        That loss.
    """
    counts = [int((targets != IGNORE_INDEX).sum()) for _, targets in parts]
    total = 0.0
    for (inputs, targets), count in zip(parts, counts, strict=True):
        loss = cross_entropy(model(inputs), targets) * count / sum(counts)
        loss.backward()
        total += loss.item()
    return total


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[tuple[Tensor, Tensor]],
    learning_rate: float,
    max_norm: float,
) -> tuple[float, float]:
    """Take one optimizer step on a batch that comes in parts.

    Returns:
        The loss before the step, and the norm of the gradient before clipping.
    """
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad()
    loss = accumulate_gradients(model, parts)
    norm = clip_gradients(model.parameters(), max_norm)
    optimizer.step()
    return loss, norm


def save_run(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write all that a run needs to continue as if it had never stopped.

    A kill at any moment leaves the old file or the new one, and never half a file under this name.
    """
    everything = {
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
    }
    unfinished = path.with_suffix(".unfinished")
    torch.save(everything, unfinished)
    os.replace(unfinished, path)


def load_run(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """The way back from :func:`save_run`; returns the number of steps that were taken."""
    everything = torch.load(path)
    model.load_state_dict(everything["model"])
    optimizer.load_state_dict(everything["optimizer"])
    torch.set_rng_state(everything["random"])
    return int(everything["step"])
