"""Who moves the weights, as the configuration says: one constructor for each optimizer.

Decay pulls a weight towards zero. For a matrix that is a useful prior; the scale of a norm starts at one, and
pulling it down would only quieten the layer.

Source: Adafactor: Shazeer and Stern 2018, arXiv:1804.04235, PyTorch's own; the others are in files of their names.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gemini_workshop.config import TrainingConfig
from gemini_workshop.training.galore import GaLore
from gemini_workshop.training.lion import Lion
from gemini_workshop.training.muon import is_hidden_matrix, muon_optimizer

FUSED_DEVICES = ("cpu", "cuda")


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices (embeddings among them) with decay, norms and biases without; each parameter in exactly one group."""
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    matrices = [weight for name, weight in named if weight.ndim >= 2 and not name.endswith("bias")]
    others = [weight for name, weight in named if weight.ndim < 2 or name.endswith("bias")]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimizer that ``config.optimizer`` names. Its learning rate is set anew before each step."""
    return OPTIMIZERS[config.optimizer](model, config)


def adamw_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """PyTorch's AdamW, in one fused kernel where the device has it; :mod:`.adamw` is the same written out."""
    return torch.optim.AdamW(
        parameter_groups(model, config.weight_decay),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        fused=next(model.parameters()).device.type in FUSED_DEVICES,
    )


def lion_optimizer(model: nn.Module, config: TrainingConfig) -> Lion:
    """Lion with its authors' memories."""
    return Lion(parameter_groups(model, config.weight_decay), lr=config.learning_rate)


def adafactor_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Adafactor:
    """Adafactor, which remembers the squares of a matrix's gradient as one row times one column."""
    return torch.optim.Adafactor(parameter_groups(model, config.weight_decay), lr=config.learning_rate)


def galore_optimizer(model: nn.Module, config: TrainingConfig) -> GaLore:
    """GaLore for the matrices of the blocks, AdamW for the rest."""
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    hidden = [weight for name, weight in named if is_hidden_matrix(name, weight)]
    groups = parameter_groups(model, config.weight_decay)
    are_hidden = set(hidden)
    groups[0]["params"] = [weight for weight in groups[0]["params"] if weight not in are_hidden]
    low_rank = {"params": hidden, "rank": config.galore_rank, "weight_decay": config.weight_decay}
    return GaLore(
        [low_rank, *groups],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        every_steps=config.galore_every_steps,
    )


OPTIMIZERS: dict[str, Callable[[nn.Module, TrainingConfig], torch.optim.Optimizer]] = {
    "adamw": adamw_optimizer,
    "muon": muon_optimizer,
    "lion": lion_optimizer,
    "adafactor": adafactor_optimizer,
    "galore": galore_optimizer,
}
