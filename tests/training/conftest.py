import pytest
import torch

from gemini_workshop.config import TrainingConfig
from gemini_workshop.models.transformer import Transformer
from tests import tiny
from tests.training.pair import Pair


@pytest.fixture
def config():
    return tiny.MODEL


@pytest.fixture
def model(config):
    return Transformer(config, torch.Generator().manual_seed(0))


@pytest.fixture
def training():
    return TrainingConfig(steps=30, batch_size=3, learning_rate=0.02, warmup_steps=2)


@pytest.fixture(scope="session")
def pair():
    """Two processes; they start when they are first called."""
    pair = Pair()
    yield pair
    pair.close()
