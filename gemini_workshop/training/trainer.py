"""The training loop: look at a batch, measure the surprise, follow the gradient a little, again.

``train_step`` is one turn and prints nothing; ``fit`` owns the loop, measures the validation loss and saves
on schedule, and tells its callbacks. What ``fit`` does at a step depends on the step's number alone, never on
the clock, so a run that was stopped and resumed ends with the same weights as one that was not.
"""

import itertools
import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from gemini_workshop.config import TrainingConfig
from gemini_workshop.data.dataset import TokenWindows
from gemini_workshop.errors import TrainingError
from gemini_workshop.models.attention import AttentionRule
from gemini_workshop.models.fused_attention import fused_causal_attention
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.callbacks import Callback, StepMetrics
from gemini_workshop.training.losses import cross_entropy
from gemini_workshop.training.schedule import learning_rate_at

Ending = Literal["finished", "time", "interrupted"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How far a run came, and why it ended there."""

    step: int
    ending: Ending


def train_step(
    model: Transformer,
    optimizer: torch.optim.Optimizer,
    inputs: Int[Tensor, "B T"],
    targets: Int[Tensor, "B T"],
    learning_rate: float,
    config: TrainingConfig,
) -> StepMetrics:
    """One optimizer step on one batch."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    device = next(model.parameters()).device
    with matrix_products_in(config.precision, model):
        logits = model(inputs.to(device))
    loss = cross_entropy(logits, targets.to(device))
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
    optimizer.step()
    return StepMetrics(loss_nats=loss.item(), gradient_norm=norm.item(), learning_rate=learning_rate)


@torch.inference_mode()
def evaluate(
    model: Transformer, windows: TokenWindows, config: TrainingConfig, max_batches: int | None = None
) -> float:
    """Mean loss in nats per token over the windows in order; over all of them if no limit is given."""
    device = next(model.parameters()).device
    total, count = 0.0, 0
    for inputs, targets in itertools.islice(windows.sequential_batches(config.batch_size), max_batches):
        with matrix_products_in(config.precision, model):
            logits = model(inputs.to(device))
        total += cross_entropy(logits, targets.to(device)).item() * targets.numel()
        count += targets.numel()
    return total / count


def fit(
    model: Transformer,
    optimizer: torch.optim.Optimizer,
    train: TokenWindows,
    validation: TokenWindows,
    config: TrainingConfig,
    *,
    first_step: int = 0,
    callbacks: Sequence[Callback] = (),
    minutes: float | None = None,
) -> Outcome:
    """Train until the planned steps are done, the time is up, or Ctrl-C is pressed.

    Args:
        first_step: steps done before, when a run is resumed.
        callbacks: told of every step and measurement; :class:`SaveCheckpoints` among them saves the run.
        minutes: wall time after which the run ends early, its schedule unfinished.

    Raises:
        TrainingError: the loss is no longer a finite number.
    """
    deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
    step = first_step
    ending: Ending | None = "finished" if first_step >= config.steps else None
    for callback in callbacks:
        callback.started(first_step, config.steps)
    with ctrl_c_as_event() as interrupted:
        while ending is None:
            inputs, targets = train.batch(step, config.batch_size, config.seed)
            step += 1
            metrics = train_step(model, optimizer, inputs, targets, learning_rate_at(step, config), config)
            ending = _ending(step, config, metrics, interrupted.is_set(), time.monotonic() > deadline)
            if ending in ("finished", "time") or step % config.eval_every_steps == 0:
                validation_nats = evaluate(model, validation, config, max_batches=config.eval_batches)
                metrics = replace(metrics, validation_nats=validation_nats)
            for callback in callbacks:
                callback.stepped(step, metrics)
    for callback in callbacks:
        callback.ended(step)
    return Outcome(step=step, ending=ending)


def attention_in_float32(query: Tensor, key: Tensor, value: Tensor, rule: AttentionRule) -> Tensor:
    """Attention kept out of autocast: on CPUs the fused kernel's bfloat16 backward is slower than its float32 one."""
    with torch.autocast(query.device.type, enabled=False):
        return fused_causal_attention(query.float(), key.float(), value.float(), rule)


@contextmanager
def matrix_products_in(precision: str, model: Transformer) -> Iterator[None]:
    """Inside, matrix products take ``precision`` (fp32 or bf16); weights, norms and the loss stay in float32."""
    if precision == "fp32":
        yield
        return
    device = next(model.parameters()).device.type
    attention = model.attention_by(attention_in_float32) if device == "cpu" else nullcontext()
    with attention, torch.autocast(device, dtype=torch.bfloat16):
        yield


@contextmanager
def ctrl_c_as_event() -> Iterator[threading.Event]:
    """Inside, the first Ctrl-C sets the event, so that the step at hand can end; the second stops at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # only the main thread may handle signals
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def _ending(
    step: int, config: TrainingConfig, metrics: StepMetrics, is_interrupted: bool, is_late: bool
) -> Ending | None:
    if not math.isfinite(metrics.loss_nats):
        raise TrainingError(
            f"The loss of step {step} is {metrics.loss_nats}: learning_rate={config.learning_rate:g} is too high. "
            f"Start again with --set learning_rate={config.learning_rate / 3:.0e}."
        )
    if step >= config.steps:
        return "finished"
    return "interrupted" if is_interrupted else "time" if is_late else None
