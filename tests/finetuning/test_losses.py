"""The losses of fine-tuning against closed forms, in float64."""

import math

import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.data.batches.batch import IGNORE_INDEX
from gemini_workshop.errors import ConfigError
from gemini_workshop.finetuning.distillation import distillation_loss
from gemini_workshop.finetuning.policy import group_advantages, grpo_loss, kl_estimate
from gemini_workshop.finetuning.preferences import (
    answer_log_probs,
    bradley_terry_loss,
    dpo_loss,
    ipo_loss,
    reward_margin,
    simpo_loss,
)
from gemini_workshop.finetuning.quantisation import dequantise, quantise_by_groups


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


BETTER, WORSE, BETTER_REF, WORSE_REF = (drawn(5, seed=seed) - 9 for seed in range(4))
LOGITS, TARGETS = drawn(2, 3, 7), torch.tensor([[IGNORE_INDEX, 2, 6], [IGNORE_INDEX, IGNORE_INDEX, 0]])


def test_an_answer_is_as_likely_as_all_its_tokens_together():
    probabilities = LOGITS.softmax(dim=-1)
    expected = [probabilities[0, 1, 2] * probabilities[0, 2, 6], probabilities[1, 2, 0]]
    torch.testing.assert_close(answer_log_probs(LOGITS, TARGETS).exp(), torch.stack(expected))


def test_an_empty_answer_is_certain():
    assert answer_log_probs(LOGITS, torch.full((2, 3), IGNORE_INDEX)).tolist() == [0, 0]


def test_dpo_is_the_logistic_loss_of_the_margin():
    margin = (BETTER - WORSE - BETTER_REF + WORSE_REF).tolist()
    expected = sum(math.log(1 + math.exp(-0.3 * each)) for each in margin) / 5
    assert dpo_loss(BETTER, WORSE, BETTER_REF, WORSE_REF, beta=0.3).item() == pytest.approx(expected, rel=1e-12)


def test_a_step_of_dpo_weighs_each_pair_by_how_wrong_it_is():
    """The gradient that the paper derives (equation 8): beta times the sigmoid of the negative margin."""
    better = BETTER.clone().requires_grad_()
    dpo_loss(better, WORSE, BETTER_REF, WORSE_REF, beta=0.3).backward()
    margin = reward_margin(BETTER, WORSE, BETTER_REF, WORSE_REF)
    torch.testing.assert_close(better.grad, -0.3 * torch.sigmoid(-0.3 * margin) / 5)


def test_ipo_is_least_at_its_distance():
    worse = torch.zeros(1, dtype=torch.float64)
    losses = [ipo_loss(worse + margin, worse, worse, worse, beta=0.25).item() for margin in (1.0, 2.0, 3.0)]
    assert losses == [1, 0, 1]


def test_simpo_wants_the_margin_gamma():
    expected = sum(math.log(1 + math.exp(-(2.0 * each - 0.5))) for each in (BETTER - WORSE).tolist()) / 5
    assert simpo_loss(BETTER, WORSE, beta=2.0, gamma=0.5).item() == pytest.approx(expected, rel=1e-12)


def test_a_reward_model_learns_the_probability_of_being_preferred():
    """Bradley-Terry: of answers with rewards 2 and 0, the first is preferred in a share of sigmoid(2) of the pairs."""
    two, none = torch.tensor([2.0]), torch.tensor([0.0])
    assert math.exp(-bradley_terry_loss(two, none).item()) == pytest.approx(1 / (1 + math.exp(-2)), rel=1e-6)


def test_advantages_have_mean_zero_and_deviation_one_in_each_group():
    advantages = group_advantages(drawn(3, 8))
    torch.testing.assert_close(advantages.mean(dim=1), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(advantages.std(dim=1), torch.ones(3, dtype=torch.float64), rtol=1e-3, atol=0)


def test_where_all_rewards_are_equal_nothing_is_learned():
    assert group_advantages(torch.full((2, 4), 0.7)).abs().max() < 1e-2
    assert group_advantages(torch.ones(2, 4)).tolist() == [[0.0] * 4] * 2


def test_the_estimate_of_the_divergence_is_right_on_average_and_never_negative():
    model, reference = (drawn(6, seed=seed).log_softmax(dim=0) for seed in (1, 2))
    expected = (model.exp() * (model - reference)).sum()
    estimates = kl_estimate(model, reference)  # for each token that might be sampled
    torch.testing.assert_close((model.exp() * estimates).sum(), expected)
    assert estimates.min() >= 0


IS_ANSWER = torch.tensor([[False, True, True], [True, True, False]])
ADVANTAGES = torch.tensor([1.0, -0.5], dtype=torch.float64)


def test_at_the_first_step_grpo_is_the_policy_gradient():
    log_probs = drawn(2, 3).requires_grad_()
    loss = grpo_loss(log_probs, log_probs.detach(), ADVANTAGES, IS_ANSWER)
    loss.backward()
    assert loss.item() == pytest.approx(-(2 * 1.0 + 2 * -0.5) / 4)
    torch.testing.assert_close(log_probs.grad, -ADVANTAGES.unsqueeze(-1) * IS_ANSWER / 4)


@pytest.mark.parametrize(("advantage", "ratio", "moves"), [
    (1.0, 1.5, False), (1.0, 0.5, True), (-1.0, 0.5, False), (-1.0, 1.5, True), (1.0, 1.1, True),
])  # fmt: skip
def test_a_token_that_has_moved_far_enough_is_not_pushed_on(advantage, ratio, moves):
    log_probs = torch.tensor([[math.log(ratio)]], requires_grad=True)
    one = torch.tensor([[True]])
    grpo_loss(log_probs, torch.zeros(1, 1), torch.tensor([advantage]), one).backward()
    assert bool(log_probs.grad.item()) is moves
    log_probs.grad = None
    grpo_loss(log_probs, torch.zeros(1, 1), torch.tensor([advantage]), one, clip=None).backward()
    assert log_probs.grad.item() == pytest.approx(-advantage * ratio)


def test_leaving_the_reference_has_its_price():
    log_probs, reference = drawn(2, 3), drawn(2, 3, seed=1)
    free = grpo_loss(log_probs, log_probs, ADVANTAGES, IS_ANSWER)
    paid = grpo_loss(log_probs, log_probs, ADVANTAGES, IS_ANSWER, reference=reference, beta=0.2)
    torch.testing.assert_close(paid - free, 0.2 * kl_estimate(log_probs, reference)[IS_ANSWER].mean())


def test_without_any_answer_nothing_is_lost():
    assert grpo_loss(drawn(2, 3), drawn(2, 3), ADVANTAGES, torch.zeros(2, 3, dtype=torch.bool)).item() == 0


def test_distillation_mixes_what_the_text_and_the_teacher_say():
    teacher = drawn(2, 3, 7, seed=1)
    is_target = TARGETS != IGNORE_INDEX
    text = F.cross_entropy(LOGITS.flatten(0, 1), TARGETS.flatten(), ignore_index=IGNORE_INDEX)
    p, q = (F.softmax(each / 2, dim=-1)[is_target] for each in (teacher, LOGITS))
    divergence = (p * (p / q).log()).sum(dim=-1).mean()
    found = distillation_loss(LOGITS, teacher, TARGETS, temperature=2.0, share=0.3)
    torch.testing.assert_close(found, 0.7 * text + 0.3 * 4 * divergence)


def test_the_teacher_is_not_taught():
    student, teacher = drawn(2, 3, 7).requires_grad_(), drawn(2, 3, 7, seed=1).requires_grad_()
    distillation_loss(student, teacher, TARGETS).backward()
    assert teacher.grad is None
    assert student.grad[TARGETS == IGNORE_INDEX].abs().max() == 0
    assert student.grad[TARGETS != IGNORE_INDEX].abs().max() > 0


@pytest.mark.parametrize(("bits", "group_size"), [(8, 12), (4, 4), (3, 2), (2, 12)])
def test_every_weight_is_within_half_a_step_of_its_group(bits, group_size):
    weight = drawn(5, 12)
    whole, scale = quantise_by_groups(weight, bits, group_size)
    most = 2 ** (bits - 1) - 1
    assert whole.dtype == torch.int8
    assert whole.abs().amax().item() == most
    error = (dequantise(whole, scale) - weight).abs().unflatten(-1, (-1, group_size))
    assert (error <= scale.unsqueeze(-1) / 2 + 1e-12).all()
    assert (error.amax(dim=-1) > 0).any()


def test_a_group_of_zeros_stays_zero():
    whole, scale = quantise_by_groups(torch.zeros(1, 4), 4, 2)
    assert dequantise(whole, scale).tolist() == [[0.0] * 4]


@pytest.mark.parametrize(("bits", "group_size", "message"), [
    (1, 4, "bits=1 is outside 2 to 8"), (9, 4, "bits=9 is outside"),
    (4, 5, "group_size=5 does not divide the rows of 12 weights"), (4, 0, "group_size=0 does not divide"),
])  # fmt: skip
def test_what_cannot_be_quantised_is_refused(bits, group_size, message):
    with pytest.raises(ConfigError, match=message):
        quantise_by_groups(drawn(5, 12), bits, group_size)
