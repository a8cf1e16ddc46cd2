"""Two processes compute what one computes."""

from dataclasses import replace

import pytest
import torch

from gemini_workshop.config import MoEConfig, TrainingConfig
from gemini_workshop.data.batches.batch import IGNORE_INDEX, Batch
from gemini_workshop.errors import TrainingError
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.loop import fit
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.parallel.distributed import check_batch_size
from gemini_workshop.training.parallel.expert_parallel import shard_experts
from gemini_workshop.training.parallel.processes import ALONE, Processes
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.watching.callbacks import Callback
from tests import tiny
from tests.training.sources import windows

EXPERTS = replace(
    tiny.MODEL,
    moe=MoEConfig(num_experts=4, experts_per_token=2, expert_dim=5, balance_weight=0.5, selection_bias=True),
)
TRAINING = TrainingConfig(
    steps=8, batch_size=8, learning_rate=0.01, warmup_steps=2, eval_every_steps=4, eval_batches=2, clip_norm=0.5
)


class Curve(Callback):
    """The losses, the gradient norms, and the validation losses where there are any."""

    def __init__(self):
        self.numbers = []

    needs_all_processes = True

    def stepped(self, step, metrics):
        self.numbers += [metrics.loss_nats, metrics.gradient_norm]
        self.numbers += [x for x in (metrics.validation_nats, metrics.auxiliary, metrics.busiest_expert) if x]


def curve(processes, model_config, config):
    """Everything that a short training measures, in this process."""
    ids = torch.randint(0, 13, (400,), generator=torch.Generator().manual_seed(5), dtype=torch.int32)
    model = Transformer(model_config, torch.Generator().manual_seed(0)).double()
    recorder = Curve()
    state = TrainingState.begin(NextTokenPrediction(model, config, processes))
    fit(state, source(ids, config), [recorder])
    return recorder.numbers


class Masked:
    """The source, but its rows have different numbers of targets, and some have none."""

    sha256 = "0"

    def __init__(self, source):
        self.source = source

    def batch(self, step):
        inputs, targets, *_ = self.source.batch(step)
        first = torch.arange(len(targets)).unsqueeze(1) * 2 + step % 3
        return Batch(inputs, targets.where(torch.arange(targets.shape[1]) >= first, IGNORE_INDEX))

    def validation(self, max_batches=None):
        return (self.batch(step) for step in range(max_batches))


def source(ids, config):
    return Masked(windows(ids, config.batch_size))


def assert_two_equal_one(pair, model_config, config):
    alone = curve(ALONE, model_config, config)
    assert alone[-2] < alone[0]
    for each in pair(curve, model_config, config):
        assert each == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("accumulation_steps", [1, 2, 4])
def test_two_processes_have_the_loss_curve_of_one(pair, accumulation_steps):
    assert_two_equal_one(pair, tiny.MODEL, replace(TRAINING, accumulation_steps=accumulation_steps))


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_two_processes_balance_experts_by_the_load_of_both(pair, accumulation_steps):
    assert_two_equal_one(pair, EXPERTS, replace(TRAINING, accumulation_steps=accumulation_steps))


@pytest.mark.parametrize("strategy", ["zero1", "fsdp"])
@pytest.mark.parametrize("model_config", [tiny.MODEL, EXPERTS], ids=["dense", "experts"])
def test_sharing_memory_changes_no_loss(pair, strategy, model_config):
    assert_two_equal_one(pair, model_config, replace(TRAINING, strategy=strategy, accumulation_steps=2))


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_experts_of_two_processes_compute_what_those_of_one_do(pair, strategy):
    config = replace(TRAINING, strategy=strategy, expert_parallel=True, accumulation_steps=2)
    assert_two_equal_one(pair, EXPERTS, config)


def test_a_batch_that_cannot_be_shared_evenly_is_refused_with_one_that_can():
    config = replace(TRAINING, batch_size=6, accumulation_steps=2)
    with pytest.raises(TrainingError, match=r"batch_size=6 .* 2 processes .*accumulation_steps=2.* batch_size=8"):
        check_batch_size(config, Processes(rank=0, count=2))
    check_batch_size(config, ALONE)


def test_experts_that_cannot_be_shared_evenly_are_refused(model):
    with pytest.raises(TrainingError, match="expert_parallel=true, but the model has no experts"):
        shard_experts(model, Processes(rank=0, count=2))
    with pytest.raises(TrainingError, match=r"num_experts=4 .* 3 processes"):
        shard_experts(Transformer(EXPERTS), Processes(rank=0, count=3))
