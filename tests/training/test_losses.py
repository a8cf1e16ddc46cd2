import math

import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.training.losses import cross_entropy, shift_targets

LOGITS = torch.randn(2, 5, 13, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
TARGETS = torch.randint(0, 13, (2, 5), generator=torch.Generator().manual_seed(2))


def test_the_target_of_each_token_is_the_token_after_it():
    inputs, targets = shift_targets(torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]]))
    assert inputs.tolist() == [[1, 2, 3], [5, 6, 7]]
    assert targets.tolist() == [[2, 3, 4], [6, 7, 8]]


def test_cross_entropy_equals_pytorchs():
    expected = F.cross_entropy(LOGITS.flatten(0, 1), TARGETS.flatten())
    torch.testing.assert_close(cross_entropy(LOGITS, TARGETS), expected)


def test_ignored_targets_count_neither_above_nor_below_the_line():
    targets = TARGETS.clone()
    targets[0, :3] = -100
    expected = F.cross_entropy(LOGITS.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(cross_entropy(LOGITS, targets), expected)


def test_without_any_target_the_loss_is_zero_and_so_is_its_gradient():
    logits = LOGITS.clone().requires_grad_()
    loss = cross_entropy(logits, torch.full_like(TARGETS, -100))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad.abs().max() == 0


def test_the_gradient_equals_pytorchs():
    ours, theirs = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    cross_entropy(ours, TARGETS).backward()
    F.cross_entropy(theirs.flatten(0, 1), TARGETS.flatten()).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_hand_computed_case():
    logits = torch.tensor([[math.log(3.0), 0.0]])  # shares 3/4 and 1/4
    assert cross_entropy(logits, torch.tensor([1])).item() == pytest.approx(math.log(4))


def test_large_logits_stay_in_range():
    assert cross_entropy(torch.tensor([[10_000.0, 0.0]]), torch.tensor([1])).item() == 10_000.0


def test_bfloat16_logits_are_summed_in_float32():
    logits = LOGITS.to(torch.bfloat16)
    assert cross_entropy(logits, TARGETS).dtype == torch.float32
    torch.testing.assert_close(cross_entropy(logits, TARGETS), cross_entropy(logits.float(), TARGETS))
