"""What neurons answer to, what they say, and what is left without them."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.config import MoEConfig
from gemini_workshop.errors import WorkshopError
from gemini_workshop.evaluation.interpretability.neurons import neuron_strengths, promoted_scores, silenced
from gemini_workshop.models.transformer import Transformer
from tests import tiny


def make_model(**changes):
    generator = torch.Generator().manual_seed(0)
    model = Transformer(replace(tiny.MODEL, num_layers=3, **changes), generator)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.5, generator=generator)
    return model


@pytest.fixture
def model():
    return make_model(norm_placement="sandwich")


def test_strengths_times_values_are_what_each_layer_gives(model):
    outputs = []
    hooks = [block.feed_forward.register_forward_hook(lambda *args: outputs.append(args[2])) for block in model.blocks]
    strengths = neuron_strengths(model, torch.arange(7))
    for hook in hooks:
        hook.remove()
    assert strengths.shape == (3, 7, 11)
    for layer, block in enumerate(model.blocks):
        torch.testing.assert_close(strengths[layer] @ block.feed_forward.down.weight.T, outputs[layer][0])


@pytest.mark.parametrize("norm", ["rms", "rms_offset"])
@pytest.mark.parametrize("norm_placement", ["pre", "sandwich"])
def test_a_value_promotes_the_tokens_whose_scores_it_raises(norm, norm_placement):
    """Put a value alone where the layer's output goes: the model's own norms and head agree up to a factor."""
    model = make_model(norm=norm, norm_placement=norm_placement, num_heads=6)
    block = model.blocks[1]
    with torch.no_grad():
        values = block.feed_forward.down.weight.T
        logits = model.logits(model.norm(block.feed_forward_output_norm(values)))
    scores = promoted_scores(model, 1)
    assert scores.shape == (11, 13)
    torch.testing.assert_close(F.normalize(scores, dim=-1), F.normalize(logits, dim=-1), atol=1e-4, rtol=1e-4)


def test_a_silenced_neuron_says_nothing_and_speaks_again_afterwards(model):
    ids, block = torch.arange(7)[None], model.blocks[2].feed_forward
    before, value = model(ids), block.down.weight[:, 4].clone()
    with silenced(model, 2, 4):
        assert (block.down.weight[:, 4] == 0).all()
        assert (block.down.weight[:, 5] != 0).all()
        assert not torch.equal(model(ids), before)
    assert torch.equal(block.down.weight[:, 4], value)
    assert torch.equal(model(ids), before)


def test_a_whole_layer_can_be_silenced(model):
    with silenced(model, 0, slice(None)):
        assert (model.blocks[0].feed_forward(torch.ones(3, 10)) == 0).all()
    assert (model.blocks[0].feed_forward(torch.ones(3, 10)) != 0).any()


def test_a_layer_of_experts_has_no_neurons_to_look_at():
    model = make_model(moe=MoEConfig(num_experts=4, experts_per_token=2, expert_dim=5))
    with pytest.raises(WorkshopError, match="Layer 0 has experts"):
        neuron_strengths(model, torch.arange(7))
