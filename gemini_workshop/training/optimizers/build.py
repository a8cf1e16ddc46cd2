"""The optimizer that the configuration names: one constructor for each.

Source: Adafactor: Shazeer and Stern 2018, arXiv:1804.04235, PyTorch's own; the others are in files of their names.
"""

from collections.abc import Callable

import torch

from gemini_workshop.config import TrainingConfig
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.optimizers.adamw import FUSED_DEVICES
from gemini_workshop.training.optimizers.galore import GaLore
from gemini_workshop.training.optimizers.groups import hidden_and_other_groups, parameter_groups
from gemini_workshop.training.optimizers.lion import Lion
from gemini_workshop.training.optimizers.muon import muon_optimizer


def make_optimizer(model: Transformer, config: TrainingConfig) -> torch.optim.Optimizer:
    """The optimizer that ``config.optimizer`` names. Its learning rate is set before each step."""
    return OPTIMIZERS[config.optimizer](model, config)


def adamw_optimizer(model: Transformer, config: TrainingConfig) -> torch.optim.AdamW:
    """PyTorch's AdamW, in one fused kernel where the device has it; :mod:`.adamw` is the same written out."""
    return torch.optim.AdamW(
        parameter_groups(model, config.weight_decay),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        fused=next(model.parameters()).device.type in FUSED_DEVICES,
    )


def lion_optimizer(model: Transformer, config: TrainingConfig) -> Lion:
    """Lion with its authors' momentum."""
    return Lion(parameter_groups(model, config.weight_decay), lr=config.learning_rate)


def adafactor_optimizer(model: Transformer, config: TrainingConfig) -> torch.optim.Adafactor:
    """Adafactor, which keeps the squares of a matrix's gradient as one row times one column."""
    return torch.optim.Adafactor(parameter_groups(model, config.weight_decay), lr=config.learning_rate)


def galore_optimizer(model: Transformer, config: TrainingConfig) -> GaLore:
    """GaLore for the matrices of the blocks, AdamW for the rest."""
    return GaLore(
        hidden_and_other_groups(model, config.weight_decay, {"rank": config.galore_rank}),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        every_steps=config.galore_every_steps,
    )


OPTIMIZERS: dict[str, Callable[[Transformer, TrainingConfig], torch.optim.Optimizer]] = {
    "adamw": adamw_optimizer,
    "muon": muon_optimizer,
    "lion": lion_optimizer,
    "adafactor": adafactor_optimizer,
    "galore": galore_optimizer,
}
