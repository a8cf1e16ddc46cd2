"""LoRA: it begins as the model was, trains only what was added, and is one matrix again in the end."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from gemini_workshop.errors import ConfigError
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.lora import LoRALinear, add_lora, has_lora, lora_forward, merge_lora
from gemini_workshop.models.transformer import Transformer
from tests import tiny

IDS = torch.arange(20).view(2, 10) % tiny.MODEL.vocab_size


def model(rank=None, *, trained=True, **changes):
    made = Transformer(replace(tiny.MODEL, **changes), torch.Generator().manual_seed(0)).double()
    if rank is not None:
        generator = torch.Generator().manual_seed(1)
        add_lora(made, rank, 4.0, generator)
        for name, weight in made.named_parameters():
            if trained and name.endswith("lora_b"):
                nn.init.normal_(weight, generator=generator)
    return made


def test_the_update_is_a_product_of_two_thin_matrices():
    x, weight, a, b = (torch.randn(shape, dtype=torch.float64) for shape in ((4, 5), (6, 5), (2, 5), (6, 2)))
    torch.testing.assert_close(lora_forward(x, weight, a, b, 0.5), x @ (weight + 0.5 * b @ a).T)


def test_it_begins_as_the_model_was():
    assert torch.equal(model(2, trained=False)(IDS), model()(IDS))


def test_only_what_was_added_is_trained():
    adapted = model(2)
    adapted(IDS).sum().backward()
    trained = {name for name, weight in adapted.named_parameters() if weight.grad is not None}
    assert trained
    assert all(name.endswith(("lora_a", "lora_b")) for name in trained)
    layers = [name for name, layer in adapted.named_modules() if isinstance(layer, nn.Linear)]
    assert {name.rpartition(".")[0] for name in trained} == {name for name in layers if name.startswith("blocks.")}


@pytest.mark.parametrize("rank", [1, 3])
def test_merged_it_is_one_matrix_again(rank):
    adapted, plain = model(rank), model()
    before = plain(IDS)
    weights = adapted.state_dict()
    assert has_lora(weights)
    merged = merge_lora(weights, 4.0)
    assert not has_lora(merged)
    plain.load_state_dict(merged)
    torch.testing.assert_close(plain(IDS), adapted(IDS), rtol=1e-10, atol=1e-10)
    assert (plain(IDS) - before).abs().max() > 1e-3, "the update does nothing"


def test_a_layer_with_an_update_is_not_exchanged_for_a_faster_one():
    adapted = model(2)
    expected = adapted(IDS)
    accelerate(adapted)
    torch.testing.assert_close(adapted(IDS), expected, rtol=1e-10, atol=1e-10)
    assert any(isinstance(layer, LoRALinear) for layer in adapted.modules())


def test_a_bias_stays():
    layer = nn.Linear(5, 6).double()
    x = torch.randn(3, 5, dtype=torch.float64)
    expected = layer(x)
    holder = nn.ModuleDict({"blocks": nn.ModuleList([layer])})
    add_lora(holder, 2, 4.0)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(("rank", "targets", "message"), [
    (0, r"blocks\.", "rank=0 is outside 1 to"), (999, r"blocks\.", "rank=999 is outside 1 to"),
    (2, "nothing", "No linear layer has a name that begins with 'nothing'"),
])  # fmt: skip
def test_what_cannot_be_added_is_refused(rank, targets, message):
    with pytest.raises(ConfigError, match=message):
        add_lora(model(), rank, 4.0, targets=targets)
