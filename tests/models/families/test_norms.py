"""Norms that only Gemma can express are rewritten with offsets, and compute the same."""

from dataclasses import replace

import pytest
import torch

from gemini_workshop.config import load_config, preset_names
from gemini_workshop.models.families import family_of, load_huggingface, save_huggingface
from gemini_workshop.models.families.norms import publishable, with_offset_norms
from gemini_workshop.models.transformer import Transformer
from tests.models.families.test_weights import LLAMA

TINY = replace(
    load_config("tiny").model,
    vocab_size=50,
    context_tokens=16,
    embed_dim=16,
    num_layers=2,
    head_dim=4,
    ffn_dim=24,
    embedding_scale=4.0,
    window_tokens=5,
)


@pytest.fixture
def model():
    model = Transformer(TINY, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    model.restore_constants("cpu")  # as exact as when they are loaded
    return model


def test_offset_norms_compute_the_same(model):
    twin = with_offset_norms(model)
    ids = torch.randint(50, (2, 11), generator=torch.Generator().manual_seed(2))
    assert twin.config.norm == "rms_offset"
    assert not torch.equal(twin.norm.weight, model.norm.weight)
    torch.testing.assert_close(twin(ids), model(ids), rtol=0, atol=1e-12)


def test_a_small_gemini_is_saved_as_a_gemma_and_the_model_itself_is_left_alone(model, tmp_path):
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    assert save_huggingface(model, tmp_path / "saved") == "gemma3_text"
    ids = torch.arange(11).unsqueeze(0)
    torch.testing.assert_close(load_huggingface(tmp_path / "saved")(ids), model(ids), rtol=0, atol=1e-12)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_what_a_family_can_express_is_not_rewritten(model):
    llama = Transformer(LLAMA)
    assert publishable(llama) is llama
    assert publishable(model, "qwen3") is model  # which can express neither of the two


@pytest.mark.parametrize("name", [name for name in preset_names() if load_config(name).model.media is None])
def test_every_preset_of_a_text_model_can_be_published(name):
    config = load_config(name).model
    assert family_of(replace(config, norm="rms_offset")) == "gemma3_text"
