"""Everything that changes while a model is trained: what a checkpoint must hold so that a run can be resumed."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gemini_workshop.config import TrainingConfig
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.ema import WeightAverage
from gemini_workshop.training.endings import Patience
from gemini_workshop.training.objective import Losses, Objective, compiled
from gemini_workshop.training.parallel.distributed import distributed, shard_model, sharded_optimizer
from gemini_workshop.training.parallel.processes import Processes


@dataclass(kw_only=True, slots=True)
class TrainingState:
    """A model in training.

    Attributes:
        objective: the model with its loss.
        distributed: the objective whose gradients are means over all processes; alone, the objective itself.
        network: the same as generated code if the configuration asks for it: what a step calls.
        average: a running mean of the weights, if one is kept; measured and used in place of the weights.
        scaler: for float16, whose small gradients would otherwise become zero.
        step: how many steps were taken.
    """

    objective: Objective
    distributed: nn.Module
    network: Callable[[Any], Losses]
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    patience: Patience
    scaler: torch.amp.GradScaler | None
    step: int = 0

    @classmethod
    def begin(cls, objective: Objective) -> "TrainingState":
        """Before the first step, with the optimizer and all else that the objective's configuration asks for.

        Of several processes, each is left with its part of the model.

        Raises:
            TrainingError: the batch or the experts cannot be divided evenly among the processes.
        """
        model, config, processes = objective.model, objective.config, objective.processes
        shard_model(model, config, processes)  # first: what follows is made for the weights that remain here
        model.recompute_blocks = config.recompute_blocks
        in_parallel = distributed(objective, config, processes)
        device = next(model.parameters()).device
        return cls(
            objective=objective,
            distributed=in_parallel,
            network=compiled(in_parallel) if config.compile else in_parallel,
            optimizer=sharded_optimizer(model, config, processes),
            average=None if config.ema_decay is None else WeightAverage(model, config.ema_decay),
            patience=Patience(config.patience_evals),
            scaler=torch.amp.GradScaler(device.type) if config.precision == "fp16" else None,
        )

    @property
    def model(self) -> Transformer:
        """The model that is trained."""
        return self.objective.model

    @property
    def config(self) -> TrainingConfig:
        """How it is trained."""
        return self.objective.config

    @property
    def processes(self) -> Processes:
        """Those that train it together."""
        return self.objective.processes

    def state_dict(self) -> dict[str, Any]:
        """All that is not a tensor, as plain data; :mod:`.resume` saves the tensors."""
        return {
            "step": self.step,
            "averaged_steps": self.average.steps if self.average else 0,
            "best_nats": self.patience.best if self.patience.best < math.inf else None,
            "measurements_since": self.patience.since,
            "scaler": self.scaler.state_dict() if self.scaler else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self.step = state["step"]
        if self.average is not None:
            self.average.steps = state["averaged_steps"]
        if state["best_nats"] is not None:
            self.patience.best, self.patience.since = state["best_nats"], state["measurements_since"]
        if self.scaler is not None and state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
