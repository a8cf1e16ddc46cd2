import pytest
import torch

from gemini_workshop.config import ModelConfig
from gemini_workshop.models.transformer import Transformer


@pytest.fixture
def config():
    return ModelConfig(
        vocab_size=13,
        context_tokens=7,
        embed_dim=10,
        num_layers=2,
        num_heads=6,
        num_kv_heads=2,
        head_dim=4,
        ffn_dim=11,
        activation="gelu_tanh",
        rope_base=100.0,
        norm_eps=1e-6,
        qk_norm=True,
        tied_head=True,
    )


@pytest.fixture
def model(config):
    """In float64 and with every weight drawn, so that no layer is the identity and no cache can hide behind zeros."""
    generator = torch.Generator().manual_seed(0)
    model = Transformer(config, generator)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5, generator=generator)
    return model.double().eval()
