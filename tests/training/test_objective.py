"""What fine-tuning needs: another objective, which step and loop train without any change."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gemini_workshop.config import MoEConfig
from gemini_workshop.data.batches.batch import IGNORE_INDEX, Batch
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.evaluate import evaluate
from gemini_workshop.training.loop import fit
from gemini_workshop.training.objective import Losses, NextTokenPrediction, Objective
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.step import add_up_gradients
from tests import tiny
from tests.training.sources import windows

EXPERTS = replace(tiny.MODEL, moe=MoEConfig(num_experts=4, experts_per_token=2, expert_dim=5, balance_weight=0.5))


class Distillation(Objective):
    """How far the model's probabilities are from those of a frozen teacher."""

    def __init__(self, model, config, teacher):
        super().__init__(model, config)
        self.teacher = teacher.requires_grad_(False)

    def forward(self, batch: Batch) -> Losses:
        hidden, routings = self.hidden_states(batch.inputs, batch.segment_ids)
        ours, theirs = (logits.log_softmax(-1) for logits in (self.model.logits(hidden), self.teacher(batch.inputs)))
        distances = F.kl_div(ours, theirs, reduction="none", log_target=True).sum(-1)
        return self.with_routing((distances * (batch.targets >= 0)).sum(), routings)


class Pairs(NamedTuple):
    """Two texts each, of which the first is preferred: a batch of another kind, whose rows are pairs."""

    preferred: Tensor
    other: Tensor

    def map(self, change):
        return Pairs(*map(change, self))

    def split(self, count):
        return [Pairs(*part) for part in zip(*(tensor.tensor_split(count) for tensor in self), strict=True)]


class Preference(Objective):
    """The preferred text of each pair should be more likely than the other."""

    def count_targets(self, batch: Pairs) -> Tensor:
        return torch.tensor(len(batch.preferred))

    def forward(self, batch: Pairs) -> Losses:
        total, routings = torch.zeros(()), []
        likely = []
        for ids in batch:
            hidden, routings = self.hidden_states(ids[:, :-1], None)
            log_probs = self.model.logits(hidden).log_softmax(-1)
            likely.append(log_probs.gather(-1, ids[:, 1:, None]).sum(dim=(1, 2)))
        total = -F.logsigmoid(likely[0] - likely[1]).sum()
        return self.with_routing(total, routings)


class PairSource:
    """Ascending texts are preferred to descending ones."""

    sha256 = "0"

    def batch(self, step: int) -> Pairs:
        starts = torch.randint(0, 6, (4, 1), generator=torch.Generator().manual_seed(step))
        ascending = starts + torch.arange(7)
        return Pairs(ascending, ascending.flip(1))

    def validation(self, max_batches=None):
        return iter([self.batch(10**6), self.batch(10**6 + 1)])


def test_a_model_is_distilled_from_a_frozen_teacher(config, model, training):
    teacher = Transformer(config, torch.Generator().manual_seed(1))
    for weight in teacher.parameters():
        torch.nn.init.normal_(weight, std=0.4, generator=torch.Generator().manual_seed(2))
    kept = [weight.clone() for weight in teacher.parameters()]
    objective = Distillation(model, replace(training, steps=60, accumulation_steps=3), teacher)
    before = evaluate(objective, windows().validation())
    fit(TrainingState.begin(objective), windows())
    assert evaluate(objective, windows().validation()) < before / 2
    assert all(torch.equal(weight, own) for weight, own in zip(teacher.parameters(), kept, strict=True))


@pytest.mark.parametrize("model_config", [tiny.MODEL, EXPERTS], ids=["dense", "experts"])
def test_a_model_learns_which_text_of_a_pair_is_preferred(training, model_config):
    model = Transformer(model_config, torch.Generator().manual_seed(0))
    objective = Preference(model, replace(training, batch_size=4, accumulation_steps=2))
    source = PairSource()
    assert evaluate(objective, source.validation()) == pytest.approx(0.693, abs=0.05)  # of log 2, no preference
    fit(TrainingState.begin(objective), source)
    assert evaluate(objective, source.validation()) < 0.1


def test_the_mean_is_over_what_the_objective_counts(model, training):
    """Pairs, here, and not tokens."""
    state = TrainingState.begin(Preference(model, training))
    pairs = PairSource().batch(0)
    each = [state.objective(part).total.item() for part in pairs.split(4)]
    assert add_up_gradients(state, pairs).total.item() == pytest.approx(sum(each) / 4, rel=1e-5)


def test_documents_count_by_the_root_of_their_length_in_training_alone(model, training):
    """One of nine tokens counts three times as much as one of a single token, in parts of a batch as in the whole."""
    targets = torch.full((2, 9), IGNORE_INDEX)
    targets[0], targets[1, 4] = torch.arange(9), 5
    batch = Batch(torch.arange(18).view(2, 9) % 7, targets, torch.ones(2, 9, dtype=torch.long))
    logits = model(batch.inputs, segment_ids=batch.segment_ids).log_softmax(dim=-1)
    story, answer = -logits[0, torch.arange(9), torch.arange(9)].mean(), -logits[1, 4, 5]
    for parts in (1, 2):
        state = TrainingState.begin(
            NextTokenPrediction(model, replace(training, length_power=0.5, batch_size=2, accumulation_steps=parts))
        )
        found = add_up_gradients(state, batch).total
        assert found.item() == pytest.approx((3 * story + 1 * answer).item() / 4, rel=1e-5)
    assert evaluate(state.objective, [batch]) == pytest.approx((9 * story + answer).item() / 10, rel=1e-5)


def test_the_experts_loads_are_those_of_the_whole_batch(training):
    model = Transformer(EXPERTS, torch.Generator().manual_seed(0))
    batch = windows().batch(0)
    whole, parts = (
        add_up_gradients(
            TrainingState.begin(NextTokenPrediction(model, replace(training, accumulation_steps=count))), batch
        )
        for count in (1, 3)
    )
    assert whole.loads.shape == (2, 4)
    assert whole.loads.sum(dim=-1).tolist() == pytest.approx([1.0, 1.0])
    torch.testing.assert_close(whole.loads, parts.loads)


def test_an_objective_says_what_it_needs(model, training):
    with pytest.raises(NotImplementedError):
        Objective(model, training)(windows().batch(0))
