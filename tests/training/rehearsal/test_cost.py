"""The estimate is what two processes hold and send."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from gemini_workshop.config import ModelConfig, MoEConfig, RotaryConfig, TrainingConfig
from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.errors import TrainingError
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.accounting import training_flops
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.parallel.distributed import local_optimizer
from gemini_workshop.training.rehearsal.cost import (
    all_gather_bytes,
    all_reduce_bytes,
    parameter_sizes,
    scattered_bytes,
    step_cost,
)
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.step import train_step

DENSE = ModelConfig(
    vocab_size=500,
    context_tokens=32,
    embed_dim=64,
    num_layers=3,
    num_heads=4,
    num_kv_heads=2,
    head_dim=16,
    ffn_dim=176,
    activation="silu",
    rope=RotaryConfig(base=100.0),
    norm_eps=1e-6,
    tied_head=True,
)
# Every token goes to both experts, so that each process's experts get half of all rows.
EXPERTS = replace(DENSE, moe=MoEConfig(num_experts=2, experts_per_token=2, expert_dim=100))
TRAINING = TrainingConfig(steps=3, batch_size=8, learning_rate=0.01, warmup_steps=1)


def written_bytes():
    """What this process has written to files and sockets since its start."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def local_bytes(tensors):
    own = [tensor.to_local() if hasattr(tensor, "to_local") else tensor for tensor in tensors]
    return sum(tensor.nbytes for tensor in own)


def held_and_sent(processes, model_config, config):
    model = Transformer(model_config, torch.Generator().manual_seed(0))
    accelerate(model)
    state = TrainingState.begin(NextTokenPrediction(model, config, processes))
    ids = torch.randint(0, 500, (config.batch_size, 33), generator=torch.Generator().manual_seed(1))
    batch = Batch(ids[:, :-1], ids[:, 1:]).map(processes.rows)
    for _ in range(3):  # at first DDP finds out in which order gradients come
        dist.barrier()
        before = written_bytes()
        train_step(state, batch, 0.01)
        sent = written_bytes() - before
    moments = [value for each in local_optimizer(state.optimizer).state.values() for value in each.values()]
    return {
        "weight_bytes": local_bytes(model.parameters()),
        "gradient_bytes": local_bytes(weight.grad for weight in model.parameters()),
        "optimizer_bytes": local_bytes(moments),
        "sent_bytes": sent,
    }


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone counts what a process writes")
@pytest.mark.parametrize(
    ("model_config", "changes"),
    [
        (DENSE, {"strategy": "ddp"}),
        (DENSE, {"strategy": "ddp", "accumulation_steps": 2, "optimizer": "lion"}),
        (DENSE, {"strategy": "zero1"}),
        (DENSE, {"strategy": "fsdp"}),
        (DENSE, {"strategy": "fsdp", "accumulation_steps": 2}),
        (EXPERTS, {"strategy": "ddp", "expert_parallel": True}),
        (EXPERTS, {"strategy": "ddp", "expert_parallel": True, "recompute_blocks": True}),
        (EXPERTS, {"strategy": "fsdp", "expert_parallel": True}),
        (EXPERTS, {"strategy": "fsdp", "expert_parallel": True, "recompute_blocks": True}),
    ],
    ids=lambda value: "-".join(str(v) for v in value.values()) if isinstance(value, dict) else "",
)
def test_two_processes_hold_and_send_what_was_estimated(pair, model_config, changes):
    config = replace(TRAINING, **changes)
    plan, measured = step_cost(model_config, config, 2), pair(held_and_sent, model_config, config)
    found = {name: sum(each[name] for each in measured) / 2 for name in measured[0]}
    expected = {name: getattr(plan, name) for name in found}
    if config.strategy == "fsdp":  # gloo adds up everything everywhere and throws half of it away
        sizes = parameter_sizes(model_config)
        common = sizes.all - sizes.experts * config.expert_parallel
        expected["sent_bytes"] += all_gather_bytes(scattered_bytes(sizes, common, config.accumulation_steps), 2)
    assert found == pytest.approx(expected, rel=0.01)


def test_collectives_in_a_ring_send_what_is_known():
    assert all_gather_bytes(1000, 4) == 750
    assert all_reduce_bytes(1000, 4) == 1500
    assert all_reduce_bytes(1000, 1) == 0


def test_shards_add_up_to_what_one_process_holds():
    one = step_cost(DENSE, TRAINING, 1)
    assert one.sent_bytes == 0
    assert one.lasting_bytes == 4 * 4 * parameter_sizes(DENSE).all  # weights, gradients, two moments
    assert one.flops == 8 * training_flops(DENSE, 32)
    shared = step_cost(DENSE, replace(TRAINING, strategy="fsdp"), 8)
    assert 8 * shared.lasting_bytes == pytest.approx(one.lasting_bytes, rel=1e-3)
    assert 8 * shared.flops == one.flops


def kept_for_the_backward_pass(model_config, config, num_sequences):
    """The same count with real tensors, by their addresses."""
    model = Transformer(model_config)
    accelerate(model)
    model.recompute_blocks = config.recompute_blocks
    ids = torch.zeros(num_sequences, 32, dtype=torch.int64)
    storages = {}

    def note(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        losses = NextTokenPrediction(model, config)(Batch(ids, ids))
    own = {weight.untyped_storage().data_ptr() for weight in (*model.parameters(), *model.buffers())}
    assert losses.total.requires_grad
    return sum(storage.nbytes() for place, storage in storages.items() if place not in own)


@pytest.mark.parametrize("recompute_blocks", [False, True])
@pytest.mark.parametrize("model_config", [DENSE, EXPERTS], ids=["dense", "experts"])
def test_activations_are_counted_without_computing_them(model_config, recompute_blocks):
    config = replace(TRAINING, recompute_blocks=recompute_blocks)
    planned = step_cost(model_config, config, 2).activation_bytes
    assert planned == pytest.approx(kept_for_the_backward_pass(model_config, config, 4), rel=0.001)


def test_there_is_no_estimate_for_an_optimizer_whose_state_is_of_unknown_size():
    with pytest.raises(TrainingError, match=r"no estimate for optimizer=muon.*adamw, lion"):
        step_cost(DENSE, replace(TRAINING, optimizer="muon"), 2)
