import sys
from dataclasses import replace

import pytest
import torch

from gemini_workshop.benchmarks import memory
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.memory import peak_bytes

MIB = 2**20
CPU = torch.device("cpu")


def test_what_is_held_at_once_counts():
    assert peak_bytes(lambda: [torch.empty(MIB, dtype=torch.uint8) for _ in range(3)]) == 3 * MIB


def test_what_is_released_in_between_does_not():
    def one_after_another():
        for _ in range(3):
            torch.empty(MIB, dtype=torch.uint8)

    assert peak_bytes(one_after_another) == MIB


def test_what_exists_before_does_not():
    before = torch.zeros(MIB, dtype=torch.uint8)
    assert peak_bytes(lambda: before.add_(1)) < 100


def test_an_error_passes_through_and_stderr_is_as_before(capfd):
    with pytest.raises(ZeroDivisionError):
        peak_bytes(lambda: 1 / 0)
    print("heard", file=sys.stderr)
    assert capfd.readouterr().err == "heard\n"


def footprints(*names):
    training = replace(memory.TRAINING, batch_size=4)
    model = replace(
        memory.MODEL, vocab_size=1024, context_tokens=64, embed_dim=64, num_layers=2, head_dim=8, ffn_dim=96
    )
    return [memory.footprint(name, model, replace(training, **memory.MEANS[name]), CPU) for name in names]


def test_a_peak_is_at_least_weights_gradients_and_the_optimizer_s_memory():
    (baseline,) = footprints("baseline: AdamW, float32")
    weights = sum(weight.nbytes for weight in Transformer(memory.MODEL).parameters())
    assert baseline.weights < weights
    assert 2 * baseline.weights < baseline.memory < 2.01 * baseline.weights  # two numbers a weight, and the steps
    assert baseline.peak > 2 * baseline.weights + baseline.memory


def test_each_means_saves_what_it_is_for():
    names = ("baseline: AdamW, float32", "activation checkpointing", "4 parts of a batch", "GaLore, rank 32", "Muon")
    baseline, recomputed, parts, galore, muon = footprints(*names)
    assert recomputed.peak < 0.8 * baseline.peak
    assert recomputed.memory == baseline.memory
    assert parts.peak < 0.6 * baseline.peak
    assert galore.memory < baseline.memory
    assert muon.memory < 0.8 * baseline.memory  # one number a weight of the blocks


def test_processes_share_what_their_strategy_shares():
    shared = {name: replace(memory.TRAINING, **means) for name, means in memory.SHARED_MEANS.items()}
    alone = memory.footprint("alone", memory.QUICK_MODEL, memory.TRAINING, CPU)
    ddp, zero, fsdp = memory.shared_footprints(memory.QUICK_MODEL, shared, 2)
    assert ddp.weights == alone.weights
    assert ddp.memory == alone.memory
    assert zero.weights == alone.weights
    assert 0.5 * alone.memory < zero.memory + 1000 < 0.6 * alone.memory
    assert zero.peak < ddp.peak
    assert 0.5 * alone.weights <= fsdp.weights < 0.52 * alone.weights
    assert 0.5 * alone.memory < fsdp.memory + 1000 < 0.52 * alone.memory
    assert fsdp.name == "2 processes, FSDP"


def test_the_report_compares_every_means_with_the_baseline():
    lines = memory.report(quick=True, means=["baseline: AdamW, float32", "Muon"]).splitlines()
    assert "0.1 million parameters on cpu: 4 sequences of 64 tokens, vocabulary 1024; in MB" in lines[0]
    assert [line.split()[0] for line in lines[2:]] == ["baseline:", "Muon"]
    assert lines[2].endswith("1.00")
