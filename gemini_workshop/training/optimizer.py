"""Who moves the weights: AdamW, with weight decay on the matrices only.

Decay pulls a weight towards zero. For a matrix that is a useful prior; the scale of a norm starts at one, and
pulling it down would only quieten the layer.

Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.
"""

from typing import Any

import torch
from torch import nn

from gemini_workshop.config import TrainingConfig

FUSED_DEVICES = ("cpu", "cuda")


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices (embeddings among them) with decay, vectors without; each parameter in exactly one group."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW as the configuration says, in one fused kernel where the device has it."""
    device = next(model.parameters()).device
    return torch.optim.AdamW(
        parameter_groups(model, config.weight_decay),
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        fused=device.type in FUSED_DEVICES,
    )
