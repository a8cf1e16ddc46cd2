"""Two processes compute what one computes."""

from dataclasses import replace

import pytest
import torch

from gemini_workshop.config import MoEConfig, TrainingConfig
from gemini_workshop.data.dataset import TokenWindows
from gemini_workshop.errors import TrainingError
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.callbacks import Callback
from gemini_workshop.training.distributed import check_shares, distributed, share_model, shared_optimizer
from gemini_workshop.training.expert_parallel import share_experts
from gemini_workshop.training.processes import ALONE, Processes
from gemini_workshop.training.trainer import fit
from tests import tiny

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
    windows = TokenWindows(ids, 7)
    model = Transformer(model_config, torch.Generator().manual_seed(0)).double()
    share_model(model, config, processes)
    recorder = Curve()
    fit(
        model,
        shared_optimizer(model, config, processes),
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
        check_shares(config, Processes(rank=0, count=2))
    check_shares(config, ALONE)


def test_experts_that_cannot_be_shared_evenly_are_refused(model):
    with pytest.raises(TrainingError, match="expert_parallel=true, but the model has no experts"):
        share_experts(model, Processes(rank=0, count=2))
    with pytest.raises(TrainingError, match=r"num_experts=4 .* 3 processes"):
        share_experts(Transformer(EXPERTS), Processes(rank=0, count=3))
