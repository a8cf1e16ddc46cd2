import pytest
import torch

from gemini_workshop.config import TrainingConfig
from gemini_workshop.models.transformer import Transformer
from tests import tiny


@pytest.fixture
def config():
    return tiny.MODEL


@pytest.fixture
def model(config):
    return Transformer(config, torch.Generator().manual_seed(0))


@pytest.fixture
def training():
    return TrainingConfig(steps=30, batch_size=3, learning_rate=0.02, warmup_steps=2)
