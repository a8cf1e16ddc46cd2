"""One optimizer step: from a batch to weights that are a little better. Nothing here prints, saves or looks at a clock.

gradients of each part of the batch, added up  ->  clipped  ->  optimizer
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.errors import TrainingError
from gemini_workshop.models.moe import update_selection_bias
from gemini_workshop.training.objective import Losses
from gemini_workshop.training.state import TrainingState


class NotFiniteError(TrainingError):
    """A loss or a gradient is not finite, so that a step cannot be taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepMetrics:
    """What one optimizer step measured; the norm of the gradient is the one before clipping.

    ``validation_nats`` is there at the steps after which the validation loss was measured; the last two, if there are
    experts: the routers' part of the loss, and the load of the busiest expert as a multiple of the mean.
    """

    loss_nats: float
    gradient_norm: float
    learning_rate: float
    validation_nats: float | None = None
    auxiliary: float | None = None
    busiest_expert: float | None = None


def train_step(state: TrainingState, batch: Any, learning_rate: float) -> StepMetrics:
    """Take one step on one batch; each of several processes is given its own rows.

    Raises:
        NotFiniteError: the loss or the gradient is not finite. No weight was changed.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate
    state.optimizer.zero_grad()
    losses = add_up_gradients(state, batch)
    if state.scaler is not None:
        state.scaler.unscale_(state.optimizer)
    norm = state.processes.clip_gradients(list(state.model.parameters()), state.config.clip_norm)
    loads = losses.loads
    metrics = StepMetrics(
        loss_nats=float(losses.total),
        gradient_norm=float(norm),
        learning_rate=learning_rate,
        auxiliary=None if loads is None else float(losses.auxiliary),
        busiest_expert=None if loads is None else float((loads.amax(dim=-1) / loads.mean(dim=-1)).max()),
    )
    _check_finite(metrics, has_scaler=state.scaler is not None)
    _move_weights(state)
    if loads is not None:
        update_selection_bias(state.model, loads)
    return metrics


def add_up_gradients(state: TrainingState, batch: Any) -> Losses:
    """Leave the gradient of the mean loss in the weights; the batch is read in ``accumulation_steps`` parts.

    Each part's ``total`` is a sum. Divided by the count of targets of the whole batch, the parts add up to its mean,
    however many targets each of them has.

    Example, parts whose targets cost 1, 2, 3 and 4 (the mean of the parts' own means, 2 and 4, would be wrong):
        >>> (1 + 2 + 3) / 4 + 4 / 4
        2.5

    Returns:
        The losses of the whole batch, over all processes; ``total`` is the mean over all targets, not their sum.
    """
    processes, device = state.processes, next(state.model.parameters()).device
    batch = batch.map(lambda tensor: tensor.to(device))
    count = processes.sum(state.objective.count_targets(batch)).clamp(min=1)  # of all parts, in all processes
    total, auxiliary = torch.zeros((), device=device), torch.zeros((), device=device)
    loads: Tensor | None = None
    parts = batch.split(state.config.accumulation_steps)
    for number, part in enumerate(parts, start=1):
        # Processes exchange their gradients once, after the last part.
        with processes.gathering(state.distributed, is_last=number == len(parts)):
            found = state.network(part)
            # Gradients of several processes are combined as their mean. So sums need the factor, and means need none.
            loss = found.total * processes.count / count + found.auxiliary / len(parts)
            (loss if state.scaler is None else state.scaler.scale(loss)).backward()
        total += found.total.detach()
        auxiliary += found.auxiliary.detach() / len(parts)
        if found.loads is not None:  # they are over all processes already
            loads = found.loads / len(parts) + (0 if loads is None else loads)
    return Losses(processes.sum(total) / count, processes.sum(auxiliary) / processes.count, loads)


def _check_finite(metrics: StepMetrics, *, has_scaler: bool) -> None:
    """Refuse a loss or a gradient that is not finite; with a scaler only a loss, as it leaves out such gradients."""
    name, value = "loss", metrics.loss_nats
    if math.isfinite(value) and not has_scaler:
        name, value = "gradient", metrics.gradient_norm
    if not math.isfinite(value):
        raise NotFiniteError(
            f"The {name} is {value}: learning_rate={metrics.learning_rate:g} is too high, "
            "or the batch contains bad data."
        )


def _move_weights(state: TrainingState) -> None:
    if state.scaler is None:
        state.optimizer.step()
    else:  # it leaves out a step whose gradients were too large for float16, and scales them less from then on
        state.scaler.step(state.optimizer)
        state.scaler.update()
