from dataclasses import replace

import pytest
import torch

from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.losses import cross_entropy
from gemini_workshop.training.optimizers.build import OPTIMIZERS, make_optimizer, parameter_groups
from tests.models.variants import VARIANTS


def test_matrices_decay_and_vectors_do_not(model):
    with_decay, without = parameter_groups(model, 0.3)
    assert (with_decay["weight_decay"], without["weight_decay"]) == (0.3, 0.0)
    assert {p.ndim for p in with_decay["params"]} == {2}
    assert {p.ndim for p in without["params"]} == {1}


def test_stacked_biases_of_experts_do_not_decay_either():
    model = Transformer(VARIANTS["gpt-oss"])
    _, without = parameter_groups(model, 0.3)
    biases = [weight for name, weight in model.named_parameters() if name.endswith("bias")]
    assert {weight.ndim for weight in biases} == {1, 2}
    assert {id(weight) for weight in biases} <= {id(weight) for weight in without["params"]}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("variant", ["llama", "gpt-oss"])
def test_every_parameter_is_in_exactly_one_group(training, optimizer, variant):
    model = Transformer(VARIANTS[variant])
    groups = make_optimizer(model, replace(training, optimizer=optimizer)).param_groups
    assert sorted(id(p) for group in groups for p in group["params"]) == sorted(id(p) for p in model.parameters())


def test_frozen_parameters_are_left_out(model, training):
    model.embedding.weight.requires_grad_(False)
    for optimizer in OPTIMIZERS:
        groups = make_optimizer(model, replace(training, optimizer=optimizer)).param_groups
        assert id(model.embedding.weight) not in {id(p) for group in groups for p in group["params"]}


def test_the_first_step_is_adamw_by_hand(model, training):
    """After one step the averages cancel: each weight moves by the rate against its gradient's sign, after decay."""
    optimizer = make_optimizer(model, training)
    weight, norm = model.embedding.weight, model.norm.weight
    before, norm_before = weight.detach().clone(), norm.detach().clone()
    weight.grad, norm.grad = torch.full_like(weight, 0.5), torch.full_like(norm, -0.5)
    optimizer.step()
    rate = training.learning_rate
    torch.testing.assert_close(weight.detach(), before * (1 - rate * training.weight_decay) - rate)
    torch.testing.assert_close(norm.detach(), norm_before + rate)


@pytest.mark.parametrize(
    ("optimizer", "rate"), [("adamw", 0.01), ("muon", 0.01), ("lion", 0.002), ("adafactor", 0.05), ("galore", 0.03)]
)
def test_every_optimizer_learns_a_batch_by_heart(training, optimizer, rate):
    model = Transformer(VARIANTS["llama"], torch.Generator().manual_seed(0))
    settings = replace(training, optimizer=optimizer, learning_rate=rate, galore_rank=3, weight_decay=0.0)
    moving = make_optimizer(model, settings)
    token_ids = torch.randint(13, (2, 8), generator=torch.Generator().manual_seed(1))
    inputs, targets = token_ids[:, :-1], token_ids[:, 1:]
    for _ in range(150):
        moving.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        moving.step()
    assert loss.item() < 0.5  # guessing costs 2.56
