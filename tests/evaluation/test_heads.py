"""Maps and costs of single heads."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.evaluation.heads import attention_maps, head_costs
from gemini_workshop.models.transformer import Transformer
from tests import tiny


@pytest.fixture
def model():
    config = replace(tiny.MODEL, num_layers=3, num_heads=4, head_dim=6, tied_head=False)
    generator = torch.Generator().manual_seed(0)
    model = Transformer(config, generator)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5, generator=generator)
    return model


def loss(logits, ids):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def test_every_row_of_a_map_sums_to_one_and_nothing_looks_ahead(model):
    maps = attention_maps(model, torch.arange(7))
    assert maps.shape == (3, 4, 7, 7)
    torch.testing.assert_close(maps.sum(-1), torch.ones(3, 4, 7))
    assert (maps.triu(1) == 0).all()
    assert maps.std() > 0.05


def test_looking_leaves_the_model_as_it_was(model):
    ids = torch.arange(7)
    before = model(ids[None])
    attention_maps(model, ids)
    head_costs(model, ids[None], loss)
    assert torch.equal(model(ids[None]), before)


def test_a_head_whose_output_is_thrown_away_costs_nothing_and_the_others_something(model):
    with torch.no_grad():
        model.blocks[1].attention.output.weight[:, 2 * 6 : 3 * 6] = 0.0  # head 2 of layer 1
    costs = head_costs(model, torch.randint(13, (2, 9), generator=torch.Generator().manual_seed(1)), loss)
    assert costs.shape == (3, 4)
    assert costs[1, 2].abs() < 1e-6
    assert (costs.flatten().abs() > 1e-6).sum() == 11


def test_a_head_that_averages_already_costs_nothing(model):
    with torch.no_grad():
        model.blocks[0].attention.query.weight[:6] = 0.0  # head 0: all its scores are equal
    costs = head_costs(model, torch.arange(9)[None], loss)
    assert costs[0, 0].abs() < 1e-6
    assert costs[0, 1].abs() > 1e-6
