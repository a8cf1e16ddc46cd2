"""The training loop: when to take a step, measure, save and stop.

What a step does to the weights depends on the step's number alone. The clock decides only when a run ends early. So a
run that was stopped and resumed ends with the same weights as one that was not.

Steps are numbered from 1: ``state.step`` is the number of the last one taken, and the next one reads
``source.batch(state.step)``.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch

from gemini_workshop.data.batches.source import BatchSource
from gemini_workshop.errors import TrainingError
from gemini_workshop.training.endings import Ending, Outcome, agreed, ctrl_c_as_event
from gemini_workshop.training.evaluate import evaluate
from gemini_workshop.training.schedule import learning_rate_at
from gemini_workshop.training.state import TrainingState
from gemini_workshop.training.step import NotFiniteError, StepMetrics, train_step
from gemini_workshop.training.watching.callbacks import Callback

Save = Callable[[dict[str, float]], object]


def fit(
    state: TrainingState,
    source: BatchSource,
    callbacks: Sequence[Callback] = (),
    *,
    save: Save | None = None,
    minutes: float | None = None,
) -> Outcome:
    """Train until the planned steps are done, the time is up, progress ends, or Ctrl-C is pressed.

    Args:
        state: where to begin; it changes with every step.
        callbacks: called at the start, after every step, and at the end.
        save: called with the newest loss and validation loss whenever the state is to be saved: every
            ``checkpoint_every_steps``, after the best measurement so far, and after the last step.
        minutes: wall time after which the run ends early, its schedule unfinished.

    Raises:
        TrainingError: the loss is no longer a finite number. The state before that step is saved.
    """
    config, processes = state.config, state.processes
    device = next(state.model.parameters()).device
    deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
    callbacks = [callback for callback in callbacks if processes.is_first or callback.needs_all_processes]
    saving = SaveSchedule(state, save)
    ending: Ending | None = "finished" if state.step >= config.steps else None
    state.objective.train()
    for callback in callbacks:
        callback.started(state.step, config.steps)
    try:
        with ctrl_c_as_event() as interrupted, deterministic(config.deterministic):
            while ending is None:
                metrics = _next_step(state, source, saving)
                ending = _ending(state, is_interrupted=interrupted.is_set(), is_late=time.monotonic() > deadline)
                ending = agreed(ending, processes, device)
                # Whoever pressed Ctrl-C does not wait for a measurement.
                if ending in ("finished", "time") or state.step % config.eval_every_steps == 0:
                    metrics = replace(metrics, validation_nats=_measure(state, source))
                    if state.patience.is_over:  # found by all processes at once: all have the same measurement
                        ending = ending or "no progress"
                for callback in callbacks:
                    callback.stepped(state.step, metrics)
                saving.stepped(metrics)
        saving.save_once()
    finally:
        for callback in callbacks:
            callback.ended(state.step)
    return Outcome(step=state.step, ending=ending)


class SaveSchedule:
    """When a run is saved: every few steps, after the best measurement so far, and at the end.

    Args:
        save: called with the newest measurements; without it, nothing is saved.
    """

    def __init__(self, state: TrainingState, save: Save | None) -> None:
        self.state, self.save = state, save
        self.metrics: dict[str, float] = {}
        self.saved_step = state.step  # where a run begins or resumes, there is nothing to save

    def stepped(self, metrics: StepMetrics) -> None:
        """Save if it is time."""
        step, is_best = self.state.step, False
        self.metrics["loss_nats"] = metrics.loss_nats
        if metrics.validation_nats is not None:
            self.metrics |= {"validation_nats": metrics.validation_nats, "validation_step": step}
            is_best = self.state.patience.newest_is_best
        if step % self.state.config.checkpoint_every_steps == 0 or is_best:
            self.save_once()

    def save_once(self) -> None:
        """Save the state, unless that was done at this step."""
        if self.save is not None and self.state.step != self.saved_step:
            self.save(dict(self.metrics))
        self.saved_step = self.state.step


@contextmanager
def deterministic(is_asked: bool) -> Iterator[None]:
    """Inside, if asked, PyTorch refuses operations that could give other results in another run."""
    before = torch.are_deterministic_algorithms_enabled()
    if is_asked:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it, before its first product
    torch.use_deterministic_algorithms(before or is_asked)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _next_step(state: TrainingState, source: BatchSource, saving: SaveSchedule) -> StepMetrics:
    """Take a step; if that cannot be done, save the state before it."""
    batch = source.batch(state.step).map(state.processes.rows)
    try:
        metrics = train_step(state, batch, learning_rate_at(state.step + 1, state.config))
    except NotFiniteError as error:
        raise TrainingError(
            f"Step {state.step + 1} was not taken. {error} source.batch({state.step}) returns the batch, where source "
            f"is that of the run. {_saved_if_finite(state, saving)} If the batch looks fine, start again with "
            f"--set learning_rate={state.config.learning_rate / 3:.0e}."
        ) from None
    state.step += 1
    if state.average is not None:
        state.average.update(state.model)
    return metrics


def _measure(state: TrainingState, source: BatchSource) -> float:
    """The validation loss, which the patience of the run counts."""
    batches = source.validation(state.config.eval_batches)
    nats = evaluate(state.objective, batches, average=state.average, processes=state.processes)
    state.patience.count(nats)
    return nats


def _saved_if_finite(state: TrainingState, saving: SaveSchedule) -> str:
    """Save the weights before a step that failed, unless they are not finite themselves; what was done, in words."""
    is_broken = any(not bool(weight.isfinite().all()) for weight in state.model.parameters())
    device = next(state.model.parameters()).device
    if state.processes.largest(int(is_broken), device):
        return "The weights are already NaN; resume from the previous checkpoint."
    if state.step == 0:
        return "No step was taken yet, so nothing was saved."
    saving.save_once()
    return "The weights before it are saved."


def _ending(state: TrainingState, *, is_interrupted: bool, is_late: bool) -> Ending | None:
    if state.step >= state.config.steps:
        return "finished"
    return "interrupted" if is_interrupted else "time" if is_late else None
