"""Peak memory of training steps, one means of saving it after the other, against none.

Measured are the bytes of tensors that PyTorch's allocator had handed out at the worst moment of building a model and
training it for two steps. So the figures are exact, and the same on every machine of a kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from gemini_workshop.benchmarks.measure import format_table
from gemini_workshop.config import ModelConfig, RotaryConfig, TrainingConfig
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.memory import peak_bytes
from gemini_workshop.training.objective import Objective
from gemini_workshop.training.optimizer import make_optimizer
from gemini_workshop.training.trainer import train_step

__all__ = ["peak_bytes", "report"]

MODEL = ModelConfig(
    vocab_size=8192,
    context_tokens=256,
    embed_dim=256,
    num_layers=6,
    num_heads=8,
    num_kv_heads=4,
    head_dim=32,
    ffn_dim=704,
    activation="silu",
    norm_eps=1e-6,
    tied_head=True,
    rope=RotaryConfig(base=1e4),
)
QUICK_MODEL = replace(MODEL, vocab_size=1024, context_tokens=64, embed_dim=64, num_layers=2, head_dim=8, ffn_dim=96)
TRAINING = TrainingConfig(steps=100, batch_size=8, learning_rate=1e-3, warmup_steps=1)
MEANS: dict[str, dict[str, Any]] = {
    "baseline: AdamW, float32": {},
    "activation checkpointing": {"recompute_blocks": True},
    "loss in chunks of 256 tokens": {"loss_chunk_tokens": 256},
    "4 parts of a batch": {"accumulation_steps": 4},
    "bf16 matrix products": {"precision": "bf16"},
    "GaLore, rank 32": {"optimizer": "galore", "galore_rank": 32},
    "Muon": {"optimizer": "muon"},
    "checkpointing, chunks, GaLore": {
        "recompute_blocks": True,
        "loss_chunk_tokens": 256,
        "optimizer": "galore",
        "galore_rank": 32,
    },
}
ZERO_PROCESSES = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """What a means of saving memory leaves, in bytes.

    Args:
        peak: at the worst moment.
        memory: the optimizer's, for the whole run.
    """

    name: str
    weights: int
    memory: int
    peak: int


def footprint(name: str, model: ModelConfig, training: TrainingConfig, device: torch.device) -> Footprint:
    """Measure one configuration."""
    held: dict[str, int] = {}

    def run() -> None:
        network = Transformer(model, torch.Generator().manual_seed(0)).to(device).train()
        network.recompute_blocks = training.recompute_blocks
        optimizer, objective = make_optimizer(network, training), Objective(network, training)
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(model.vocab_size, (training.batch_size, model.context_tokens), generator=generator)
        for _ in range(2):  # the first makes the optimizer's memory, the second has it from the beginning
            train_step(objective, optimizer, ids, ids.roll(-1, dims=1), training.learning_rate)
        held["weights"] = sum(weight.nbytes for weight in network.parameters())
        held["memory"] = optimizer_bytes(optimizer)

    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        peak = torch.cuda.max_memory_allocated(device) - before
    else:
        peak = peak_bytes(run)
    return Footprint(name=name, peak=peak, **held)


def optimizer_bytes(optimizer: torch.optim.Optimizer) -> int:
    """What an optimizer remembers."""
    return sum(value.nbytes for memory in optimizer.state.values() for value in memory.values())


def zero_share(model: ModelConfig, whole: Footprint, processes: int) -> Footprint:
    """ZeRO-1: each process remembers its share of the optimizer's memory, as PyTorch deals the parameters out.

    Computed from the largest share, not run: the peak is that of the baseline less what the other processes hold.
    """
    network = Transformer(model)
    shares = [0] * processes
    for weight in sorted(network.parameters(), key=lambda weight: weight.numel(), reverse=True):
        shares[shares.index(min(shares))] += 2 * weight.nbytes  # ZeroRedundancyOptimizer's rule: to whoever has least
    saved = whole.memory - max(shares)
    return replace(whole, name=f"ZeRO-1, {processes} processes (computed)", memory=max(shares), peak=whole.peak - saved)


def report(quick: bool = False, device: str = "cpu", means: Sequence[str] = tuple(MEANS)) -> str:
    """The table of all means.

    Args:
        quick: a small model, in seconds.
    """
    model, training = MODEL, TRAINING
    if quick:
        model, training = QUICK_MODEL, replace(TRAINING, batch_size=4)
    place = torch.device(device)
    found = [footprint(name, model, replace(training, **MEANS[name]), place) for name in means]
    found.insert(1, zero_share(model, found[0], ZERO_PROCESSES))
    title = (
        f"Two training steps of {found[0].weights / 4e6:.1f} million parameters on {device}: {training.batch_size} "
        f"sequences of {model.context_tokens} tokens, vocabulary {model.vocab_size}; in MB"
    )
    rows = [[f.name, _mb(f.weights), _mb(f.memory), _mb(f.peak), f"{f.peak / found[0].peak:.2f}"] for f in found]
    return format_table(title, ["", "weights", "optimizer", "peak", "of baseline"], rows)


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f}"
