"""What our recipe learns from Tiny Shakespeare, against nanoGPT's on a CPU: same text, same tokens, lower loss.

nanoGPT's README: 4 layers, 4 heads, 128 channels, windows of 64 characters, batches of 12, 2,000 steps (1.54 million
characters in all), AdamW 1e-3 with a cosine. Ours is a Gemma-like model of about the same size, trained with Muon.
Both are measured on the whole last tenth of the text, in windows of 64 characters end to end.

Source: https://github.com/karpathy/nanoGPT, README and config/train_shakespeare_char.py.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import trange

from gemini_workshop.benchmarks.nanogpt import NanoGPT, nanogpt_adamw, nanogpt_step
from gemini_workshop.config import ModelConfig, RotaryConfig, TrainingConfig
from gemini_workshop.data.batches.batch import Batch
from gemini_workshop.data.batches.rows import WindowRows
from gemini_workshop.data.batches.source import TokenSource
from gemini_workshop.data.batches.stream import TokenArray
from gemini_workshop.data.corpora import find_corpus, find_edition
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.tables import table
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.schedule import cosine_schedule, learning_rate_at
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.step import train_step

CONTEXT_TOKENS, BATCH_SIZE, STEPS = 64, 12, 2000
EVAL_BATCH_SIZE = 128
SHORT_STEPS = 250  # in which our recipe passes nanoGPT's loss
MUST, AIM = 1.56, 1.50
MUST_SHARE, AIM_SHARE = 1 / 4, 1 / 7
MODEL = ModelConfig(
    vocab_size=65,
    context_tokens=CONTEXT_TOKENS,
    embed_dim=128,
    num_layers=6,
    num_heads=4,
    num_kv_heads=1,
    head_dim=32,
    ffn_dim=256,
    activation="silu",
    rope=RotaryConfig(base=10_000.0),
    embedding_scale=128**0.5,
    layer_pattern=("local", "local", "local", "local", "local", "global"),
    window_tokens=32,
    norm_placement="sandwich",
    norm_eps=1e-6,
    qk_norm="head",
    tied_head=True,
)
TRAINING = TrainingConfig(
    steps=STEPS,
    batch_size=BATCH_SIZE,
    optimizer="muon",
    learning_rate=6e-3,
    muon_learning_rate=0.02,
    schedule="linear",
    final_rate_fraction=0.0,
    warmup_steps=30,
    beta2=0.99,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a run reached, and what it took, measurements left out."""

    name: str
    num_parameters: int
    steps: int
    loss_nats: float
    cpu_seconds: float


def characters(max_validation: int | None = None) -> TokenSource:
    """Windows of the first nine tenths of the text, and of the last to measure on; each of its 65 characters is an id.

    Args:
        max_validation: characters to measure on; all, if left out.
    """
    text = find_edition(find_corpus("shakespeare", "text"), "all")[1][0].read_text("utf-8")
    id_of = {character: i for i, character in enumerate(sorted(set(text)))}
    ids = torch.tensor([id_of[character] for character in text])
    border = int(0.9 * len(ids))
    return TokenSource(
        train=TokenArray(ids[:border], len(id_of)),
        validation_text=TokenArray(ids[border:][:max_validation], len(id_of)),
        layout=partial(WindowRows, context_tokens=CONTEXT_TOKENS),
        batch_size=BATCH_SIZE,
    )


def train_ours(source: TokenSource, config: TrainingConfig) -> Result:
    """Our model, trained with our recipe."""
    source = replace(source, seed=config.seed)
    model = Transformer(MODEL, torch.Generator().manual_seed(config.seed))
    accelerate(model)
    state = TrainingState.begin(NextTokenPrediction(model, config))

    def step(number: int) -> None:
        train_step(state, source.batch(number), learning_rate_at(number + 1, config))

    seconds = timed(step, config.steps)
    return Result(
        name=f"ours, {config.precision}, seed {config.seed}",
        num_parameters=model.num_parameters(),
        steps=config.steps,
        loss_nats=mean_loss(model, source.validation_rows.in_order(EVAL_BATCH_SIZE)),
        cpu_seconds=seconds,
    )


def train_plain(source: TokenSource, steps: int, seed: int = 0) -> Result:
    """NanoGPT's model, trained with nanoGPT's recipe."""
    source = replace(source, seed=seed)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = NanoGPT(vocab_size=65, context_tokens=CONTEXT_TOKENS, embed_dim=128, num_layers=4, num_heads=4)
    optimizer = nanogpt_adamw(model)
    run = nanogpt_step(model, optimizer)

    def step(number: int) -> None:
        rate = cosine_schedule(number, steps=steps, warmup_steps=min(100, steps), highest=1e-3, final=1e-4)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = source.batch(number)
        run(batch.inputs, batch.targets)

    seconds = timed(step, steps)
    return Result(
        name="nanoGPT's recipe",
        num_parameters=sum(weight.numel() for weight in model.parameters()),
        steps=steps,
        loss_nats=mean_loss(model, source.validation_rows.in_order(EVAL_BATCH_SIZE)),
        cpu_seconds=seconds,
    )


def timed(step: Callable[[int], None], steps: int) -> float:
    """CPU seconds of the steps, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        start = time.process_time()
        for number in trange(steps, desc="training", leave=False):
            step(number)
        return time.process_time() - start
    finally:
        torch.set_num_threads(threads)


@torch.inference_mode()
def mean_loss(model: Callable[[Int[Tensor, "B T"]], Float[Tensor, "B T V"]], batches: Iterable[Batch]) -> float:
    """Nats per character over all batches, in float32."""
    total, count = 0.0, 0
    for batch in batches:
        logits = model(batch.inputs)
        total += F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum").item()
        count += batch.targets.numel()
    return total / count


def report(seeds: int = 3, precision: Literal["fp32", "bf16"] = "bf16", is_quick: bool = False) -> str:
    """One line per run: the peer, ours for as many steps, ours until it passes the peer."""
    source = characters(1000 if is_quick else None)
    steps, short_steps = (3, 2) if is_quick else (STEPS, SHORT_STEPS)
    recipe = replace(TRAINING, precision=precision, steps=steps, warmup_steps=min(TRAINING.warmup_steps, short_steps))
    peer = train_plain(source, steps)
    full = [train_ours(source, replace(recipe, seed=seed)) for seed in range(seeds)]
    short = train_ours(source, replace(recipe, steps=short_steps))
    rows = [
        [
            result.name,
            f"{result.num_parameters / 1e6:.2f} M",
            f"{result.steps}",
            f"{result.loss_nats:.4f}",
            f"{result.cpu_seconds:.0f}",
            f"{result.cpu_seconds / peer.cpu_seconds:.2f}",
        ]
        for result in (peer, *full, short)
    ]
    mean = sum(result.loss_nats for result in full) / seeds
    share = short.cpu_seconds / peer.cpu_seconds
    passes = "passes" if short.loss_nats <= peer.loss_nats else "does NOT pass"
    return "\n".join(
        [
            table(
                [["", "parameters", "steps", "nats", "CPU s", "of nanoGPT's"], *rows],
                "Tiny Shakespeare, characters: loss on the whole last tenth, in windows of 64",
            ),
            f"ours, mean of {seeds} seeds: {mean:.4f} nats (at most {MUST} promised, {AIM:.2f} aimed at)",
            f"ours {passes} nanoGPT's loss in 1/{1 / share:.1f} of its CPU time "
            f"(1/{1 / MUST_SHARE:.0f} promised, 1/{1 / AIM_SHARE:.0f} aimed at)",
        ]
    )
