"""The mean loss over batches: validation while a model trains, and after."""

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import torch

from gemini_workshop.training.ema import WeightAverage
from gemini_workshop.training.objective import Objective
from gemini_workshop.training.parallel.processes import ALONE, Processes


@torch.no_grad()  # in inference mode distributed weights could not be copied
def evaluate(
    objective: Objective,
    batches: Iterable[Any],
    *,
    average: WeightAverage | None = None,
    processes: Processes = ALONE,
) -> float:
    """Mean loss over all targets of the batches, in nats per token where targets are tokens.

    Args:
        average: measure the mean of the weights in place of the weights.
    """
    model = objective.model
    device, was_training = next(model.parameters()).device, model.training
    total, count = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
    objective.eval()
    with nullcontext() if average is None else average.in_place_of_weights(model):
        for batch in batches:
            has_rows = processes.rank < len(batch[0])
            # Where processes hold parts of one model, each must compute whenever one does: a row that is not counted.
            own = batch.map(processes.rows if has_rows else lambda tensor: tensor[:1])
            own = own.map(lambda tensor: tensor.to(device))
            total += objective(own).total * has_rows
            count += objective.count_targets(own) * has_rows
    objective.train(was_training)
    return float(processes.sum(total) / processes.sum(count))
