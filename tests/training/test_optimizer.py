import torch

from gemini_workshop.training.optimizer import make_optimizer, parameter_groups


def test_matrices_decay_and_vectors_do_not(model):
    with_decay, without = parameter_groups(model, 0.3)
    assert (with_decay["weight_decay"], without["weight_decay"]) == (0.3, 0.0)
    assert {p.ndim for p in with_decay["params"]} == {2}
    assert {p.ndim for p in without["params"]} == {1}


def test_every_parameter_is_in_exactly_one_group(model):
    grouped = [id(p) for group in parameter_groups(model, 0.1) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


def test_frozen_parameters_are_left_out(model):
    model.embedding.weight.requires_grad_(False)
    grouped = [id(p) for group in parameter_groups(model, 0.1) for p in group["params"]]
    assert id(model.embedding.weight) not in grouped


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
