"""Sizes of which no two are equal, so that a swapped axis cannot pass unseen."""

from dataclasses import replace

import pytest
import torch

from gemini_workshop.config import ModelConfig
from tests import tiny

B, K, G, C, T, S, D, F, V = 9, 2, 3, 4, 5, 7, 10, 11, 13
H = K * G


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def config() -> ModelConfig:
    return replace(tiny.MODEL, context_tokens=T, num_layers=3, activation="silu")


def randomize(module: torch.nn.Module, generator: torch.Generator) -> None:
    """Make every weight count: a layer that starts at zero, or a norm at one, hides mistakes."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(generator=generator)
            weight.mul_(1.2 * weight.shape[-1] ** -0.5) if weight.ndim > 1 else weight.mul_(0.3).add_(1.0)
        for name, buffer in module.named_buffers():
            if name.endswith("selection_bias"):
                buffer.normal_(generator=generator)
