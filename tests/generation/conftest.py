import pytest
import torch

from gemini_workshop.models.transformer import Transformer
from tests import tiny


@pytest.fixture
def config():
    return tiny.MODEL


@pytest.fixture
def model(config):
    """In float64 and with every weight drawn, so that no layer is the identity and no cache can hide behind zeros."""
    generator = torch.Generator().manual_seed(0)
    model = Transformer(config, generator)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5, generator=generator)
    return model.double().eval()
