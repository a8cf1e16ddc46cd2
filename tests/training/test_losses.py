import math

import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.data.batches.batch import IGNORE_INDEX
from gemini_workshop.training import losses
from gemini_workshop.training.losses import (
    chunked_token_losses,
    count_targets,
    cross_entropy,
    shift_targets,
    target_weights,
    token_losses,
)

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


def test_label_smoothing_equals_pytorchs():
    expected = F.cross_entropy(LOGITS.flatten(0, 1), TARGETS.flatten(), label_smoothing=0.3)
    torch.testing.assert_close(token_losses(LOGITS, TARGETS, label_smoothing=0.3).mean(), expected)


def test_the_z_loss_punishes_what_the_softmax_does_not_see():
    plain = token_losses(LOGITS, TARGETS)
    torch.testing.assert_close(token_losses(LOGITS + 7, TARGETS), plain)
    squares = LOGITS.exp().sum(dim=-1).log() ** 2
    torch.testing.assert_close(token_losses(LOGITS, TARGETS, z_loss_weight=0.1), plain + 0.1 * squares)


def test_an_ignored_target_costs_nothing_of_any_loss():
    targets = TARGETS.clone()
    targets[1, 2] = -100
    losses = token_losses(LOGITS, targets, label_smoothing=0.3, z_loss_weight=0.1)
    assert losses[1, 2] == 0
    assert (losses != 0).sum() == 9


def test_parts_of_a_batch_sum_up_to_the_mean_over_its_tokens():
    targets = TARGETS.clone()
    targets[0, :4] = -100  # one target in the first sequence, five in the second
    count = count_targets(targets)
    assert count == 6
    parts = [token_losses(LOGITS[i], targets[i]).sum() / count for i in range(2)]
    torch.testing.assert_close(sum(parts), cross_entropy(LOGITS, targets))
    mean_of_means = sum(cross_entropy(LOGITS[i], targets[i]) for i in range(2)) / 2
    assert abs(mean_of_means - cross_entropy(LOGITS, targets)) > 0.01


@pytest.mark.parametrize(("power", "story", "answer"), [(1.0, 16.0, 4.0), (0.5, 4.0, 2.0), (0.0, 1.0, 1.0)])
def test_a_document_counts_by_its_length_to_a_power(power, story, answer):
    targets = torch.full((2, 25), 7)
    segments = torch.ones(2, 25, dtype=torch.long)
    segments[0, 20:] = 2
    targets[0, [0, 1, 2, 3, 20]] = targets[1, 16:] = IGNORE_INDEX  # of what is given and of padding
    weights = target_weights(targets, segments, power)
    totals = [weights[0, :20].sum(), weights[0, 20:].sum(), weights[1].sum()]
    torch.testing.assert_close(torch.stack(totals), torch.tensor([story, answer, story]))
    assert weights[targets == IGNORE_INDEX].sum() == 0


def test_no_target_at_all_costs_nothing():
    targets = torch.full((2, 5), -100)
    assert count_targets(targets) == cross_entropy(LOGITS, targets) == 0


HIDDEN = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
HEAD = torch.randn(13, 7, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


@pytest.mark.parametrize("chunk_tokens", [1, 4, 10, 99])
def test_chunks_change_neither_losses_nor_gradients(chunk_tokens):
    def losses_and_gradients(compute):
        hidden, head = HIDDEN.clone().requires_grad_(), HEAD.clone().requires_grad_()
        losses = compute(hidden, lambda x: x @ head.T)
        losses.sum().backward()
        return losses.flatten(), hidden.grad, head.grad

    options = {"label_smoothing": 0.1, "z_loss_weight": 0.2}
    whole = losses_and_gradients(lambda hidden, to_logits: token_losses(to_logits(hidden), TARGETS, **options))
    parts = losses_and_gradients(
        lambda hidden, to_logits: chunked_token_losses(hidden, to_logits, TARGETS, chunk_tokens, **options)
    )
    torch.testing.assert_close(parts, whole)


def test_chunks_never_hold_the_logits_of_all_tokens():
    sizes = []

    def to_logits(x):
        sizes.append(len(x))
        return x @ HEAD.T

    chunked_token_losses(HIDDEN.clone().requires_grad_(), to_logits, TARGETS, 4).sum().backward()
    assert sizes == [4, 4, 2, 2, 4, 4]  # forwards, and once more for the gradients


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("near_logits", [1, 30, 10_000])
def test_the_gradient_written_a_few_rows_at_a_time_is_that_of_autograd(monkeypatch, dtype, near_logits):
    monkeypatch.setattr(losses, "NEAR_LOGITS", near_logits)
    targets, weights = TARGETS.clone(), torch.arange(10.0).view(2, 5)
    targets[1, 2] = -100
    ours = LOGITS.to(dtype).clone().requires_grad_()
    wide = ours.detach().double().clone().requires_grad_()
    found = token_losses(ours, targets, label_smoothing=0.1, z_loss_weight=0.01)
    (found * weights).sum().backward()
    total = wide.logsumexp(dim=-1)
    expected = 0.9 * (total - wide.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1))
    expected = (expected + 0.1 * (total - wide.mean(dim=-1)) + 0.01 * total.square()) * (targets >= 0)
    (expected * weights).sum().backward()
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(ours.grad.double(), wide.grad, rtol=tolerance, atol=tolerance)
    assert ours.grad.dtype == dtype


def test_logits_may_lie_in_memory_in_any_order_and_be_those_of_one_token():
    transposed = LOGITS.transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    assert not transposed.is_contiguous()
    straight = LOGITS.clone().requires_grad_()
    for logits in (transposed, straight):
        token_losses(logits, TARGETS).sum().backward()
    torch.testing.assert_close(transposed.grad, straight.grad)
    torch.testing.assert_close(token_losses(LOGITS[0, 0], TARGETS[0, 0]), token_losses(LOGITS, TARGETS)[0, 0])
