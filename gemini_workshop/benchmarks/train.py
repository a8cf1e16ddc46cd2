"""Training steps against GPT-2 written the plain way: float32, eager, AdamW as it comes (nanoGPT on a CPU).

The architecture is the same on both sides and so are the batches. What differs is how it is computed: one fused
optimizer kernel, and matrix products in the precision that measures fastest on this machine.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gemini_workshop.benchmarks.measure import Comparison, comparison_table, cpu_seconds, products_alone
from gemini_workshop.benchmarks.nanogpt import NanoGPT, nanogpt_adamw, nanogpt_step
from gemini_workshop.config import ModelConfig, TrainingConfig
from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.kernels.backends import fast_causal_attention
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.precision import DTYPES, Precision, measure_precision
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.step import train_step


@dataclass(frozen=True, kw_only=True, slots=True)
class GPT2Size:
    """One of nanoGPT's shapes, and what is promised there: times as fast, must and aim."""

    name: str
    context_tokens: int
    batch_size: int
    embed_dim: int
    num_layers: int
    num_heads: int
    eager_goals: tuple[float, float]
    compiled_goals: tuple[float, float]
    fp32_goals: tuple[float, float] | None = None
    vocab_size: int = 65


SMALL = GPT2Size(
    name="0.8 M",
    context_tokens=64,
    batch_size=12,
    embed_dim=128,
    num_layers=4,
    num_heads=4,
    eager_goals=(1.6, 2.0),
    compiled_goals=(1.85, 2.5),
    fp32_goals=(1.15, 1.3),
)
LARGER = GPT2Size(
    name="10 M",
    context_tokens=256,
    batch_size=8,
    embed_dim=384,
    num_layers=6,
    num_heads=6,
    eager_goals=(2.2, 2.8),
    compiled_goals=(2.4, 3.2),
)
QUICK = GPT2Size(
    name="quick",
    context_tokens=8,
    batch_size=2,
    embed_dim=16,
    num_layers=1,
    num_heads=2,
    eager_goals=(1.6, 2.0),
    compiled_goals=(1.85, 2.5),
    fp32_goals=(1.15, 1.3),
)


def report(rounds: int = 15, is_quick: bool = False, with_compile: bool = False) -> str:
    """One table for each size."""
    sizes = (QUICK,) if is_quick else (SMALL, LARGER)
    return "\n\n".join(
        comparison_table(
            f"A training step of a GPT-2 of {size.name} parameters, {size.batch_size} x {size.context_tokens} tokens, "
            "against plain fp32",
            compare(size, rounds, with_compile),
        )
        for size in sizes
    )


def compare(size: GPT2Size, rounds: int, with_compile: bool) -> list[Comparison]:
    """Ours in float32 and in the precision that measures fastest, eager and, if asked for, compiled."""
    generator = torch.Generator().manual_seed(0)
    shape = (2, size.batch_size, size.context_tokens)
    inputs, targets = torch.randint(size.vocab_size, shape, generator=generator)
    precision = measure_precision(accelerated(size), inputs).fastest
    contestants = {"plain": plain(size, inputs, targets), "fp32": ours(size, "fp32", inputs, targets)}
    contestants |= {"default": ours(size, precision, inputs, targets)}
    contestants |= {f"least in {name}": least(size, name) for name in ("fp32", precision)}
    if with_compile:
        contestants["compiled"] = ours(size, precision, inputs, targets, with_compile=True)
    seconds = cpu_seconds(contestants, rounds=rounds, warmups=2)
    settings = [("fp32", "fp32", "eager", size.fp32_goals), ("default", precision, "eager", size.eager_goals)]
    settings += [("compiled", precision, "compiled", size.compiled_goals)] if with_compile else []
    return [
        Comparison(
            setting=f"{each}, {how}",
            ours_seconds=seconds[name],
            peer_seconds=seconds["plain"],
            least_seconds=seconds[f"least in {each}"],
            must=goals and goals[0],
            aim=goals and goals[1],
        )
        for name, each, how, goals in settings
    ]


def gpt2_config(size: GPT2Size) -> ModelConfig:
    """The peer's architecture as a value of ours (our LayerNorm has a bias besides)."""
    return ModelConfig(
        vocab_size=size.vocab_size,
        context_tokens=size.context_tokens,
        embed_dim=size.embed_dim,
        num_layers=size.num_layers,
        num_heads=size.num_heads,
        num_kv_heads=size.num_heads,
        head_dim=size.embed_dim // size.num_heads,
        ffn_dim=4 * size.embed_dim,
        positions="learned",
        norm="layer",
        norm_eps=1e-5,
        activation="gelu",
        gated=False,
        tied_head=True,
    )


def accelerated(size: GPT2Size) -> Transformer:
    """Our model, as the trainer runs it."""
    model = Transformer(gpt2_config(size), torch.Generator().manual_seed(0))
    accelerate(model)
    return model


def least(size: GPT2Size, precision: str) -> Callable[[], None]:
    """What a step of either side takes at least: its matrix products and its attention."""
    rows, D = size.batch_size * size.context_tokens, size.embed_dim
    block = [(rows, D, 3 * D), (rows, D, D), (rows, D, 4 * D), (rows, 4 * D, D)]
    products = products_alone([*block * size.num_layers, (rows, D, size.vocab_size)], precision)
    shape = (size.batch_size, size.num_heads, size.context_tokens, D // size.num_heads)
    dtype = DTYPES.get(precision, torch.float32)
    query, key, value, grad = (torch.randn(shape, dtype=dtype, requires_grad=i < 3) for i in range(4))

    def run() -> None:
        products()
        for _ in range(size.num_layers):
            mixed = fast_causal_attention(query, key, value)
            torch.autograd.grad(mixed, (query, key, value), grad)

    return run


def plain(size: GPT2Size, inputs: Tensor, targets: Tensor) -> Callable[[], None]:
    """The peer's step on one batch."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = NanoGPT(
            vocab_size=size.vocab_size,
            context_tokens=size.context_tokens,
            embed_dim=size.embed_dim,
            num_layers=size.num_layers,
            num_heads=size.num_heads,
        )
    step = nanogpt_step(model, nanogpt_adamw(model))
    return lambda: step(inputs, targets)


def ours(
    size: GPT2Size, precision: Precision, inputs: Tensor, targets: Tensor, *, with_compile: bool = False
) -> Callable[[], object]:
    """Our step on one batch: the same architecture and optimizer, as the trainer runs it."""
    config = TrainingConfig(
        steps=1,
        warmup_steps=0,
        batch_size=size.batch_size,
        learning_rate=1e-3,
        beta2=0.99,
        precision=precision,
        compile=with_compile,
    )
    model = accelerated(size)
    state = TrainingState.begin(NextTokenPrediction(model, config))
    return lambda: train_step(state, Batch(inputs, targets), config.learning_rate)
