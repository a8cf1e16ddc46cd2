import math
from dataclasses import replace

import pytest
import torch

from gemini_workshop.data.batches.batch import IGNORE_INDEX, Batch
from gemini_workshop.training.evaluate import evaluate
from gemini_workshop.training.objective import NextTokenPrediction
from tests.training.sources import IDS, windows


@pytest.fixture
def objective(model, training):
    return NextTokenPrediction(model, training)


def nats(objective, max_batches=None):
    return evaluate(objective, windows().validation(max_batches))


def test_at_initialisation_every_token_is_about_equally_likely(objective):
    assert nats(objective) == pytest.approx(math.log(13), abs=0.02)


def test_the_validation_loss_is_the_mean_over_all_tokens(objective):
    model = objective.model
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.4, generator=torch.Generator().manual_seed(0))
    losses = []
    for inputs, targets, *_ in windows(batch_size=1).validation():
        some = torch.nn.functional.cross_entropy(model(inputs)[0], targets[0], reduction="none", ignore_index=-100)
        losses += some[targets[0] >= 0].tolist()
    assert len(losses) == len(IDS) - 1
    assert nats(objective) == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_targets_to_ignore_are_not_counted(objective):
    inputs = torch.tensor([[1, 2, 3], [4, 5, 6]])
    targets = torch.tensor([[2, IGNORE_INDEX, IGNORE_INDEX], [5, 6, 7]])
    expected = torch.nn.functional.cross_entropy(objective.model(inputs).flatten(0, 1), targets.flatten())
    by_row = [Batch(inputs[i : i + 1], targets[i : i + 1]) for i in range(2)]
    assert evaluate(objective, by_row) == pytest.approx(expected.item(), rel=1e-6)


def test_a_limited_evaluation_reads_as_many_batches_spread_over_the_text(objective):
    losses = [
        torch.nn.functional.cross_entropy(objective.model(inputs).flatten(0, 1), targets.flatten()).item()
        for inputs, targets, *_ in windows().validation(2)
    ]
    assert len(losses) == 2
    assert nats(objective, max_batches=2) == pytest.approx(sum(losses) / 2, rel=1e-3)


def test_what_only_training_adds_to_the_loss_is_not_measured(model, training, objective):
    more = NextTokenPrediction(model, replace(training, label_smoothing=0.3, z_loss_weight=0.1))
    assert nats(more) == nats(objective)
    batch = windows().batch(0)
    assert more(batch).total > objective(batch).total  # and it is still there in training


@pytest.mark.parametrize("mode", [True, False])
def test_an_evaluation_changes_nothing(objective, mode):
    objective.model.train(mode)
    before = {name: weight.clone() for name, weight in objective.model.state_dict().items()}
    nats(objective)
    assert all(torch.equal(before[name], weight) for name, weight in objective.model.state_dict().items())
    assert objective.model.training is mode
