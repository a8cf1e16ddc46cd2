"""Maps and costs of single heads."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.evaluation.interpretability.heads import (
    attention_maps,
    head_costs,
    induction_scores,
    previous_token_scores,
)
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


def test_a_head_that_is_told_to_average_does_so_and_changes_only_what_comes_after_it(model):
    ids = torch.arange(7)
    before, after = attention_maps(model, ids), attention_maps(model, ids, averaging=[(1, 2)])
    evenly = torch.ones(7, 7).tril() / torch.arange(1, 8)[:, None]
    torch.testing.assert_close(after[1, 2], evenly)
    assert torch.equal(after[0], before[0])
    others = [head for head in range(4) if head != 2]
    assert torch.equal(after[1, others], before[1, others])
    assert not torch.equal(after[2], before[2])


def test_a_map_that_looks_one_step_back_scores_one_and_an_even_one_what_is_left_for_it():
    one_back = torch.eye(5).roll(1, 0)
    one_back[0] = torch.eye(5)[0]
    evenly = torch.ones(5, 5).tril() / torch.arange(1.0, 6)[:, None]
    scores = previous_token_scores(torch.stack([one_back, torch.eye(5), evenly])[None])
    torch.testing.assert_close(scores, torch.tensor([[1.0, 0.0, (1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 4]]))


def test_a_map_that_looks_at_what_came_next_the_last_time_scores_one():
    text = [7, 3, 5, 7, 3, 5]  # the second 7 looks at the first 3, the second 3 at the 5, the second 5 at the second 7
    next_last_time, same_token = torch.eye(6), torch.eye(6)
    for t in (3, 4, 5):
        next_last_time[t] = torch.eye(6)[text.index(text[t]) + 1]
        same_token[t] = torch.eye(6)[t - 3]
    assert induction_scores(torch.stack([next_last_time, same_token]), period=3).tolist() == [1.0, 0.0]


def test_what_a_head_does_in_the_first_reading_does_not_count_as_induction():
    maps = torch.zeros(6, 6)
    maps[2, 0] = 1.0  # the same distance as in the second reading, but nothing has been repeated yet
    assert induction_scores(maps, period=3) == 0.0
