"""Two processes compute what one computes."""

from dataclasses import replace

import pytest
import torch

from gemini_workshop.config import TrainingConfig
from gemini_workshop.data.dataset import TokenWindows
from gemini_workshop.errors import TrainingError
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.callbacks import Callback
from gemini_workshop.training.distributed import check_shares, distributed
from gemini_workshop.training.optimizer import make_optimizer
from gemini_workshop.training.processes import ALONE, Processes
from gemini_workshop.training.trainer import fit
from tests import tiny
from tests.training.pair import Pair

TRAINING = TrainingConfig(
    steps=8, batch_size=8, learning_rate=0.01, warmup_steps=2, eval_every_steps=4, eval_batches=2, clip_norm=0.5
)


@pytest.fixture(scope="module")
def pair():
    pair = Pair()
    yield pair
    pair.close()


class Curve(Callback):
    """The losses, the gradient norms, and the validation losses where there are any."""

    def __init__(self):
        self.numbers = []

    def stepped(self, step, metrics):
        self.numbers += [metrics.loss_nats, metrics.gradient_norm]
        self.numbers += [x for x in (metrics.validation_nats, metrics.auxiliary, metrics.busiest_expert) if x]


def curve(processes, model_config, config):
    """Everything that a short training measures, in this process."""
    ids = torch.randint(0, 13, (400,), generator=torch.Generator().manual_seed(5), dtype=torch.int32)
    windows = TokenWindows(ids, 7)
    model = Transformer(model_config, torch.Generator().manual_seed(0))
    recorder = Curve()
    fit(
        model,
        make_optimizer(model, config),
        windows,
        windows,
        config,
        callbacks=[recorder],
        processes=processes,
        distribute=lambda objective: distributed(objective, processes),
    )
    return recorder.numbers


def assert_two_equal_one(pair, model_config, config):
    alone = curve(ALONE, model_config, config)
    assert alone[-2] < alone[0]
    for each in pair(curve, model_config, config):
        assert each == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("accumulation_steps", [1, 2, 4])
def test_two_processes_have_the_loss_curve_of_one(pair, accumulation_steps):
    assert_two_equal_one(pair, tiny.MODEL, replace(TRAINING, accumulation_steps=accumulation_steps))


def test_a_batch_that_cannot_be_shared_evenly_is_refused_with_one_that_can():
    config = replace(TRAINING, batch_size=6, accumulation_steps=2)
    with pytest.raises(TrainingError, match=r"batch_size=6 .* 2 processes .*accumulation_steps=2.* batch_size=8"):
        check_shares(config, Processes(rank=0, count=2))
    check_shares(config, ALONE)
