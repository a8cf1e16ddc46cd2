"""Peak memory of training steps, one means of saving it after the other, against none.

Measured are the bytes of tensors that PyTorch's allocator had handed out at the worst moment of building a model and
training it for two steps. So the figures are exact, and the same on every machine of a kind. Where several processes
train together, the one that holds most is shown.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gemini_workshop.config import (
    GenerationConfig,
    ModelConfig,
    RotaryConfig,
    TrainingConfig,
    WorkshopConfig,
    load_config,
    to_yaml,
)
from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.tables import table
from gemini_workshop.training.memory import peak_bytes
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.parallel.distributed import joined, launch, local_optimizer
from gemini_workshop.training.parallel.processes import ALONE, Processes
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.step import train_step

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
PROCESSES = 2
SHARED_MEANS: dict[str, dict[str, Any]] = {
    f"{PROCESSES} processes, DDP": {"strategy": "ddp"},
    f"{PROCESSES} processes, ZeRO-1": {"strategy": "zero1"},
    f"{PROCESSES} processes, FSDP": {"strategy": "fsdp"},
}


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


def footprint(
    name: str, model: ModelConfig, training: TrainingConfig, device: torch.device, processes: Processes = ALONE
) -> Footprint:
    """Measure one configuration, in this process."""
    held: dict[str, int] = {}

    def run() -> None:
        network = Transformer(model, torch.Generator().manual_seed(0)).to(device).train()
        accelerate(network)
        state = TrainingState.begin(NextTokenPrediction(network, training, processes))
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(model.vocab_size, (training.batch_size, model.context_tokens), generator=generator)
        batch = Batch(ids, ids.roll(-1, dims=1)).map(processes.rows)
        for _ in range(2):  # the first makes the optimizer's memory, the second has it from the beginning
            train_step(state, batch, training.learning_rate)
        held["weights"] = sum(_bytes_here(weight) for weight in network.parameters())
        held["memory"] = optimizer_bytes(state.optimizer)

    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        peak = torch.cuda.max_memory_allocated(device) - before
    else:
        peak = peak_bytes(run)
    return Footprint(name=name, peak=peak, **held)


def shared_footprints(model: ModelConfig, trainings: dict[str, TrainingConfig], count: int) -> list[Footprint]:
    """Measure ``count`` processes that share each batch, on CPUs; of each configuration the process that holds most."""
    with tempfile.TemporaryDirectory() as folder:
        for name, training in trainings.items():
            whole = WorkshopConfig(model=model, training=training, generation=GenerationConfig())
            (Path(folder) / f"{name}.yaml").write_text(to_yaml(whole), "utf-8")
        launch(count, [sys.executable, "-m", "gemini_workshop.benchmarks.memory", folder])
        found = [Footprint(**json.loads(path.read_text())) for path in Path(folder).glob("*.json")]
    return [
        max((one for one in found if one.name == name), key=lambda one: (one.memory, one.peak)) for name in trainings
    ]


def measure_this_process(folder: Path) -> None:
    """What each process of :func:`shared_footprints` does."""
    cpu = torch.device("cpu")
    with joined(cpu) as processes:
        for path in sorted(folder.glob("*.yaml")):
            config = load_config(path)
            found = footprint(path.stem, config.model, config.training, cpu, processes)
            (folder / f"{path.stem} {processes.rank}.json").write_text(json.dumps(asdict(found)))


def optimizer_bytes(optimizer: torch.optim.Optimizer) -> int:
    """What an optimizer remembers in this process."""
    states = local_optimizer(optimizer).state.values()
    return sum(_bytes_here(value) for state in states for value in state.values())


def _bytes_here(tensor: Any) -> int:
    """The bytes of a tensor, of one that processes share those of this process's part."""
    return (tensor.to_local() if hasattr(tensor, "to_local") else tensor).nbytes


def report(quick: bool = False, device: str = "cpu", means: Sequence[str] = tuple(MEANS | SHARED_MEANS)) -> str:
    """The table of all means; those that take several processes are measured on CPUs only.

    Args:
        quick: a small model, in seconds.
    """
    model, training = MODEL, TRAINING
    if quick:
        model, training = QUICK_MODEL, replace(TRAINING, batch_size=4)
    place = torch.device(device)
    found = [footprint(name, model, replace(training, **MEANS[name]), place) for name in means if name in MEANS]
    if place.type == "cpu":
        shared = {name: replace(training, **SHARED_MEANS[name]) for name in means if name in SHARED_MEANS}
        found += shared_footprints(model, shared, PROCESSES) if shared else []
    title = (
        f"Two training steps of {found[0].weights / 4e6:.1f} million parameters on {device}: {training.batch_size} "
        f"sequences of {model.context_tokens} tokens, vocabulary {model.vocab_size}; in MB"
    )
    rows = [[f.name, _mb(f.weights), _mb(f.memory), _mb(f.peak), f"{f.peak / found[0].peak:.2f}"] for f in found]
    return table([["", "weights", "optimizer", "peak", "of baseline"], *rows], title)


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f}"


if __name__ == "__main__":
    measure_this_process(Path(sys.argv[1]))
