"""The training loop: look at a batch, measure the surprise, follow the gradient a little, again.

``train_step`` is one turn and prints nothing; ``fit`` owns the loop, measures the validation loss and saves
on schedule, and tells its callbacks. What ``fit`` does at a step depends on the step's number alone, never on
the clock, so a run that was stopped and resumed ends with the same weights as one that was not.
"""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from gemini_workshop.config import TrainingConfig
from gemini_workshop.data.dataset import TokenWindows
from gemini_workshop.errors import TrainingError
from gemini_workshop.models.moe import update_selection_bias
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.callbacks import Callback, StepMetrics
from gemini_workshop.training.ema import WeightAverage
from gemini_workshop.training.losses import count_targets
from gemini_workshop.training.objective import Objective
from gemini_workshop.training.processes import ALONE, Processes
from gemini_workshop.training.schedule import learning_rate_at

Ending = Literal["finished", "time", "interrupted", "no progress"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How far a run came, and why it ended there."""

    step: int
    ending: Ending


def train_step(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    inputs: Int[Tensor, "B T"],
    targets: Int[Tensor, "B T"],
    learning_rate: float,
    *,
    segment_ids: Int[Tensor, "B T"] | None = None,
    network: Callable[..., Any] | None = None,
    scaler: torch.amp.GradScaler | None = None,
    processes: Processes = ALONE,
) -> StepMetrics:
    """One optimizer step on one batch, read in ``accumulation_steps`` parts.

    Args:
        network: the objective as it was compiled or distributed; the objective itself, if left out.
        scaler: for float16, whose small gradients would otherwise become zero.
        processes: those that share the batch; each is given its own rows.

    Raises:
        TrainingError: the loss or the gradient is not finite. No weight was moved.
    """
    config, model = objective.config, objective.model
    device = next(model.parameters()).device
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad()
    count = processes.sum(count_targets(targets.to(device)))
    nats, auxiliary, loads = (torch.zeros((), device=device) for _ in range(3))
    parts = list(_parts(config.accumulation_steps, inputs, targets, segment_ids))
    for number, part in enumerate(parts, start=1):
        with processes.gathering(network, is_last=number == len(parts)):
            total, added = (network or objective)(*(None if x is None else x.to(device) for x in part))
            loss = total * processes.count / count + added / len(parts)  # distributed gradients are means
            (loss if scaler is None else scaler.scale(loss)).backward()
        nats += total.detach()
        auxiliary += added.detach() / len(parts)
        if objective.loads is not None:
            loads = loads + objective.loads / len(parts)
    if scaler is not None:
        scaler.unscale_(optimizer)
    norm = processes.clip_gradients(list(model.parameters()), config.clip_norm)
    metrics = StepMetrics(
        loss_nats=float(processes.sum(nats) / count),
        gradient_norm=float(norm),
        learning_rate=learning_rate,
        auxiliary=float(processes.sum(auxiliary) / processes.count) if loads.ndim else None,
        busiest_expert=float((loads.amax(dim=-1) / loads.mean(dim=-1)).max()) if loads.ndim else None,
    )
    if not math.isfinite(metrics.loss_nats) or (scaler is None and not math.isfinite(metrics.gradient_norm)):
        raise _not_finite(metrics, learning_rate)
    if scaler is None:
        optimizer.step()
    else:  # a scaler leaves out a step whose gradients were too large for float16, and scales less from then on
        scaler.step(optimizer)
        scaler.update()
    if loads.ndim:
        update_selection_bias(model, loads)
    return metrics


@torch.no_grad()  # in inference mode distributed weights could not be copied
def evaluate(
    model: Transformer,
    windows: TokenWindows,
    config: TrainingConfig,
    max_batches: int | None = None,
    *,
    average: WeightAverage | None = None,
    processes: Processes = ALONE,
) -> float:
    """Mean loss in nats per token over the windows in order; if there is a limit, over some, evenly spread.

    Args:
        average: measure the mean of the weights in place of the weights.
    """
    objective = Objective(model, replace(config, label_smoothing=0.0, z_loss_weight=0.0))
    device, was_training = next(model.parameters()).device, model.training
    nats, count = torch.zeros((), device=device), torch.zeros((), device=device)
    model.eval()
    with nullcontext() if average is None else average.in_place_of_weights(model):
        for inputs, targets in windows.sequential_batches(config.batch_size, max_batches):
            own, has_rows = processes.rows_to_measure(inputs, targets)
            total, _ = objective(*(x.to(device) for x in own))
            nats += total * has_rows
            count += own[1].numel() * has_rows
    model.train(was_training)
    return float(processes.sum(nats) / processes.sum(count))


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
    average: WeightAverage | None = None,
    patience: "Patience | None" = None,
    scaler: torch.amp.GradScaler | None = None,
    processes: Processes = ALONE,
    distribute: Callable[[Objective], Callable[..., Any]] | None = None,
) -> Outcome:
    """Train until the planned steps are done, the time is up, progress ends, or Ctrl-C is pressed.

    Args:
        first_step: steps done before, when a run is resumed.
        callbacks: told of every step and measurement; :class:`SaveCheckpoints` among them saves the run.
        minutes: wall time after which the run ends early, its schedule unfinished.
        average: a running mean of the weights to keep; measured in place of the weights.
        patience, scaler: those of an earlier part of the run; new ones, as the configuration says, if left out.
        distribute: how the objective is shared with the other processes.

    Raises:
        TrainingError: the loss is no longer a finite number. The state before that step is saved.
    """
    deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
    objective = Objective(model, config, processes)
    network = _prepared(objective, config, distribute)
    scaler = scaler or gradient_scaler(config, next(model.parameters()).device)
    patience = patience or Patience(config.patience_evals)
    step = first_step
    ending: Ending | None = "finished" if first_step >= config.steps else None
    model.train()
    model.recompute_blocks = config.recompute_blocks
    callbacks = [callback for callback in callbacks if processes.is_first or callback.needs_all_processes]
    for callback in callbacks:
        callback.started(first_step, config.steps)
    with ctrl_c_as_event() as interrupted, deterministic(config.deterministic):
        while ending is None:
            inputs, targets = (processes.rows(x) for x in train.batch(step, config.batch_size, config.seed))
            step += 1
            rate = learning_rate_at(step, config)
            try:
                metrics = train_step(
                    objective, optimizer, inputs, targets, rate, network=network, scaler=scaler, processes=processes
                )
            except TrainingError as error:
                is_saved = _save_what_is_good(model, callbacks, step - 1)
                raise _bad_batch(error, step, config, is_saved) from None
            if average is not None:
                average.update(model)
            ending = _ending(step, config, interrupted.is_set(), time.monotonic() > deadline)
            ending = _agreed(ending, processes, next(model.parameters()).device)
            if ending in ("finished", "time") or step % config.eval_every_steps == 0:
                nats = evaluate(model, validation, config, config.eval_batches, average=average, processes=processes)
                metrics = replace(metrics, validation_nats=nats)
                if patience.is_over(nats):
                    ending = ending or "no progress"
            for callback in callbacks:
                callback.stepped(step, metrics)
    for callback in callbacks:
        callback.ended(step)
    return Outcome(step=step, ending=ending)


class Patience:
    """Counts the measurements since the best one.

    Args:
        evals: how many without a better one are too many; None: any number is fine.
    """

    def __init__(self, evals: int | None) -> None:
        self.evals, self.best, self.since = evals, math.inf, 0

    def is_over(self, validation_nats: float) -> bool:
        """Take one more measurement into account."""
        self.since = 0 if validation_nats < self.best else self.since + 1
        self.best = min(self.best, validation_nats)
        return self.evals is not None and self.since >= self.evals


def gradient_scaler(config: TrainingConfig, device: torch.device) -> torch.amp.GradScaler | None:
    """What float16 needs, and nothing else does: gradients made large enough not to become zero."""
    return torch.amp.GradScaler(device.type) if config.precision == "fp16" else None


@contextmanager
def deterministic(is_asked: bool) -> Iterator[None]:
    """Inside, operations that could give other results in another run are refused by PyTorch, if that is asked."""
    before = torch.are_deterministic_algorithms_enabled()
    if is_asked:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it, before its first product
    torch.use_deterministic_algorithms(before or is_asked)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


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


def _parts(
    count: int, inputs: Tensor, targets: Tensor, segment_ids: Tensor | None
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    segments = [None] * count if segment_ids is None else segment_ids.tensor_split(count)
    for part in zip(inputs.tensor_split(count), targets.tensor_split(count), segments, strict=True):
        if len(part[0]):
            yield part


def _prepared(
    objective: Objective, config: TrainingConfig, distribute: Callable[[Objective], Callable[..., Any]] | None
) -> Callable[..., Any]:
    network: Callable[..., Any] = objective if distribute is None else distribute(objective)
    return compiled(network) if config.compile else network


def compiled(network: Callable[..., Any]) -> Callable[..., Any]:
    """The network by generated code, which is made at the first call.

    Raises:
        TrainingError: at that call, if the code cannot be made: most often, there is no C++ compiler.
    """
    fast = torch.compile(network)

    def call(*arguments: Any) -> Any:
        try:
            return fast(*arguments)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise TrainingError(
                f"compile=True does not work here: {str(error).strip().splitlines()[0]} It needs a C++ compiler "
                "(g++, clang++ or cl), and Triton on a GPU. Install one, or train with --set compile=false."
            ) from error

    call.__wrapped__ = network  # type: ignore[attr-defined]
    return call


def _ending(step: int, config: TrainingConfig, is_interrupted: bool, is_late: bool) -> Ending | None:
    if step >= config.steps:
        return "finished"
    return "interrupted" if is_interrupted else "time" if is_late else None


def _agreed(ending: Ending | None, processes: Processes, device: torch.device) -> Ending | None:
    """The ending that any of the processes has come to; a run ends for all of them at the same step."""
    if processes.count == 1:
        return ending
    order: list[Ending | None] = [None, "time", "interrupted", "finished"]
    votes = processes.sum(torch.tensor([ending == choice for choice in order], dtype=torch.int64, device=device))
    return next((choice for choice, vote in reversed(list(zip(order, votes, strict=True))) if vote and choice), None)


def _not_finite(metrics: StepMetrics, learning_rate: float) -> TrainingError:
    what = "loss" if not math.isfinite(metrics.loss_nats) else "gradient"
    value = metrics.loss_nats if what == "loss" else metrics.gradient_norm
    return TrainingError(
        f"The {what} is {value}: learning_rate={learning_rate:g} is too high, or the batch is poisoned."
    )


def _bad_batch(error: TrainingError, step: int, config: TrainingConfig, is_saved: bool) -> TrainingError:
    first = (step - 1) * config.batch_size
    state = "The weights before it are saved." if is_saved else "The weights are spoilt already; go back a checkpoint."
    return TrainingError(
        f"Step {step} was not taken. {error} It read windows {first} to {first + config.batch_size - 1} of the order "
        f"with seed={config.seed}; TokenWindows.batch({step - 1}, {config.batch_size}, {config.seed}) returns them. "
        f"{state} If the windows look like text, start again with "
        f"--set learning_rate={config.learning_rate / 3:.0e}."
    )


def _save_what_is_good(model: Transformer, callbacks: Sequence[Callback], step: int) -> bool:
    """Let the callbacks save the step before, unless the weights themselves are spoilt; tell which it was."""
    is_good = all(bool(weight.isfinite().all()) for weight in model.parameters())
    for callback in callbacks if is_good else ():
        callback.ended(step)
    return is_good
