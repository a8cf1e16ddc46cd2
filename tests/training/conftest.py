import pytest
import torch

from gemini_workshop.config import ModelConfig, TrainingConfig
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
    return Transformer(config, torch.Generator().manual_seed(0))


@pytest.fixture
def training():
    return TrainingConfig(steps=30, batch_size=3, learning_rate=0.02, warmup_steps=2)
