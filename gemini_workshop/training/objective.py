"""From a batch to the number that training makes smaller: the one thing that is compiled and distributed.

    batch  ->  sum of what its targets cost,  what is added to their mean

Instruction tuning needs other batches, preferences and distillation need another :class:`Objective`, and nothing else.
A step and the loop ask of a batch only that it can be split and mapped, and of an objective only what is here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.config import TrainingConfig
from gemini_workshop.data.batches.batch import IGNORE_INDEX, Batch
from gemini_workshop.errors import TrainingError
from gemini_workshop.models.moe import auxiliary_loss, expert_loads, recorded_routing
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.routing import Routing
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.losses import chunked_token_losses, count_targets, target_weights, token_losses
from gemini_workshop.training.parallel.processes import ALONE, Processes
from gemini_workshop.training.precision import matrix_products_in


class Losses(NamedTuple):
    """What an objective finds in a batch, or in a part of one.

    Attributes:
        total: the *sum* of what all targets cost.
        auxiliary: what the routers add to the mean over the targets.
        loads: the fraction of choices that fell on each expert, over all processes, one row per layer with experts.
    """

    total: Float[Tensor, ""]
    auxiliary: Float[Tensor, ""]
    loads: Float[Tensor, "L E"] | None = None


class Objective(nn.Module):
    """A model with its loss. A subclass defines :meth:`forward`, and :meth:`count_targets` if it counts other things.

    In evaluation mode it measures what the validation loss is to show, without what only training adds to the loss.

    Args:
        processes: those that share each batch. They judge the balance of experts by the load of all their tokens.
    """

    def __init__(self, model: Transformer, config: TrainingConfig, processes: Processes = ALONE) -> None:
        super().__init__()
        self.model, self.config, self.processes = model, config, processes

    def count_targets(self, batch: Any) -> Tensor:
        """Over how many things the mean is taken: here, the targets that are not to be ignored."""
        return count_targets(batch.targets)

    def forward(self, batch: Any) -> Losses:
        """What the batch costs."""
        raise NotImplementedError

    def hidden_states(
        self, inputs: Int[Tensor, "B T"], segment_ids: Int[Tensor, "B T"] | None, media: Media | None = None
    ) -> tuple[Float[Tensor, "B T D"], list[Routing]]:
        """What the model computes before its head, and how each layer with experts routed the tokens."""
        if self.model.config.moe is None:
            return self.model.hidden_states(inputs, segment_ids=segment_ids, media=media), []
        with recorded_routing(self.model) as routings:
            return self.model.hidden_states(inputs, segment_ids=segment_ids, media=media), routings

    def with_routing(self, total: Float[Tensor, ""], routings: list[Routing]) -> Losses:
        """The losses with what the routers add to them."""
        if self.model.config.moe is None:
            return Losses(total, total.new_zeros(()))
        loads = self.processes.sum(expert_loads(routings)) / self.processes.count
        return Losses(total, auxiliary_loss(routings, self.model.config.moe, loads).to(total.dtype), loads)


class NextTokenPrediction(Objective):
    """What each next token costs: the objective of pretraining, and of instruction tuning with masked targets."""

    def count_targets(self, batch: Batch) -> Tensor:
        """How many targets are to be predicted; in training, what they count together."""
        weights = self._weights(batch)
        return count_targets(batch.targets) if weights is None else weights.sum()

    def forward(self, batch: Batch) -> Losses:
        """The sum of what all targets cost; smoothing and z-loss are added in training only."""
        with matrix_products_in(self.config.precision, self.model):
            hidden, routings = self.hidden_states(batch.inputs, batch.segment_ids, batch.media)
            targets, weights = batch.targets, self._weights(batch)
            if batch.media is not None:  # most places of such rows have no target, and the head is a large matrix
                is_target = targets != IGNORE_INDEX
                hidden, targets = hidden[is_target].unsqueeze(0), targets[is_target].unsqueeze(0)
                weights = None if weights is None else weights[is_target].unsqueeze(0)
            losses = self._token_losses(hidden, targets)
            total = (losses if weights is None else losses.flatten() * weights.flatten()).sum()
        return self.with_routing(total, routings)

    def _weights(self, batch: Batch) -> Float[Tensor, "B T"] | None:
        """What each target counts; None if all count alike."""
        power = self.config.length_power
        if power == 1 or not self.training or batch.segment_ids is None:
            return None
        return target_weights(batch.targets, batch.segment_ids, power)

    def _token_losses(self, hidden: Float[Tensor, "B T D"], targets: Int[Tensor, "B T"]) -> Tensor:
        config, chunk = self.config, self.config.loss_chunk_tokens
        smoothing, z_weight = (config.label_smoothing, config.z_loss_weight) if self.training else (0.0, 0.0)
        if chunk is None:
            logits = self.model.logits(hidden)
            return token_losses(logits, targets, label_smoothing=smoothing, z_loss_weight=z_weight)
        return chunked_token_losses(
            hidden, self.model.logits, targets, chunk, label_smoothing=smoothing, z_loss_weight=z_weight
        )


def compiled(network: Callable[[Any], Losses]) -> Callable[[Any], Losses]:
    """The network as generated code, which is made at the first call.

    Raises:
        TrainingError: at that call, if the code cannot be made: most often, there is no C++ compiler.
    """
    fast = torch.compile(network)

    def call(batch: Any) -> Losses:
        try:
            return fast(batch)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise TrainingError(
                f"compile=True does not work here: {str(error).strip().splitlines()[0]} It needs a C++ compiler "
                "(g++, clang++ or cl), and Triton on a GPU. Install one, or train with --set compile=false."
            ) from error

    return call
