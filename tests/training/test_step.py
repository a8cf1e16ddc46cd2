import math
from dataclasses import replace

import pytest
import torch

from gemini_workshop.data.batches.batch import IGNORE_INDEX, Batch
from gemini_workshop.training.losses import cross_entropy
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.step import NotFiniteError, add_up_gradients, train_step

GENERATOR = torch.Generator().manual_seed(3)
INPUTS, TARGETS = (torch.randint(0, 13, (4, 7), generator=GENERATOR) for _ in range(2))


def begin(model, config):
    return TrainingState.begin(NextTokenPrediction(model, config))


def test_a_tiny_model_memorises_one_batch(model, training):
    inputs = torch.tensor([[1, 4, 7, 2, 9, 3, 0], [2, 8, 8, 5, 11, 12, 6], [10, 3, 1, 1, 5, 7, 7]])
    state = begin(model, replace(training, weight_decay=0.0))
    losses = [train_step(state, Batch(inputs, inputs.roll(-1, dims=1)), 0.02).loss_nats for _ in range(80)]
    assert losses[0] > 2.4
    assert losses[-1] < 0.02


def test_gradients_equal_finite_differences(model):
    """In float64, for a weight of every kind, with every weight drawn so that no gradient is zero for a dull reason."""
    generator = torch.Generator().manual_seed(2)
    model = model.double()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.4, generator=generator)
    inputs = torch.randint(0, 13, (3, 7), generator=generator)
    targets = torch.randint(0, 13, (3, 7), generator=generator)

    def loss():
        return cross_entropy(model(inputs), targets)

    loss().backward()
    step = 1e-6
    for name, weight in model.named_parameters():
        place = int(weight.grad.abs().argmax())
        flat = weight.data.view(-1)
        start = flat[place].item()
        with torch.no_grad():
            flat[place] = start + step
            above = loss().item()
            flat[place] = start - step
            below = loss().item()
            flat[place] = start
        difference = (above - below) / (2 * step)
        assert weight.grad.view(-1)[place].item() == pytest.approx(difference, rel=1e-5, abs=1e-9), name


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_the_gradient_is_that_of_the_mean_over_real_targets_in_however_many_parts(model, training, parts):
    """The parts have different numbers of targets, one has none: no mean of means would be right."""
    targets = TARGETS.clone()
    targets[0], targets[1, 2:], targets[3, 5] = IGNORE_INDEX, IGNORE_INDEX, IGNORE_INDEX
    state = begin(model.double(), replace(training, batch_size=4, accumulation_steps=parts))
    found = add_up_gradients(state, Batch(INPUTS, targets))
    gradients = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    expected = torch.nn.functional.cross_entropy(model(INPUTS).flatten(0, 1), targets.flatten(), ignore_index=-100)
    expected.backward()
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-6)
    for gradient, weight in zip(gradients, model.parameters(), strict=True):
        torch.testing.assert_close(gradient, weight.grad)


def test_a_batch_without_targets_costs_nothing(model, training):
    state = begin(model, training)
    before = [weight.detach().clone() for weight in model.parameters()]
    state.optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    assert train_step(state, Batch(INPUTS, torch.full_like(INPUTS, IGNORE_INDEX)), 1.0).loss_nats == 0
    assert all(torch.equal(weight, kept) for weight, kept in zip(model.parameters(), before, strict=True))


def test_segments_reach_the_model(model, training):
    """Documents in one row cost what they cost in rows of their own."""
    state = begin(model.double(), training)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.4, generator=torch.Generator().manual_seed(0))
    targets = TARGETS[:1].clone()
    targets[0, 2] = IGNORE_INDEX
    segments = torch.tensor([[1, 1, 1, 2, 2, 2, 2]])
    packed = add_up_gradients(state, Batch(INPUTS[:1], targets, segments)).total
    alone = [cross_entropy(model(INPUTS[:1, part]), targets[:, part]) for part in (slice(0, 3), slice(3, 7))]
    assert packed.item() == pytest.approx((2 * alone[0].item() + 4 * alone[1].item()) / 6, rel=1e-6)
    assert packed.item() != pytest.approx(add_up_gradients(state, Batch(INPUTS[:1], targets)).total.item(), rel=1e-3)


def test_a_gradient_beyond_the_limit_is_scaled_to_it(model, training):
    """Plain descent at rate 1 moves by the gradient itself, so the length of the move is the clipped norm."""
    state = begin(model, replace(training, clip_norm=0.01))
    state.optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    metrics = train_step(state, Batch(INPUTS, TARGETS), 1.0)
    after = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    assert metrics.gradient_norm > 0.1
    assert (after - before).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_the_step_uses_the_learning_rate_it_is_given(model, training):
    state = begin(model, training)
    train_step(state, Batch(INPUTS, TARGETS), 0.123)
    assert [group["lr"] for group in state.optimizer.param_groups] == [0.123, 0.123]


def test_a_loss_that_is_not_finite_moves_no_weight(model, training):
    state = begin(model, training)
    before = [weight.detach().clone() for weight in model.parameters()]
    model.norm.register_forward_hook(lambda *_: _[-1] * float("nan"))
    with pytest.raises(NotFiniteError, match=r"The loss is nan: learning_rate=0\.02 is too high, or .* bad data"):
        train_step(state, Batch(INPUTS, TARGETS), 0.02)
    assert all(torch.equal(weight, kept) for weight, kept in zip(model.parameters(), before, strict=True))


def test_a_gradient_that_is_not_finite_is_named(model, training):
    state = begin(model, training)
    model.embedding.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(NotFiniteError, match=r"The gradient is (inf|nan)"):
        train_step(state, Batch(INPUTS, TARGETS), 0.02)
