"""From a batch to the numbers that training makes smaller: the one thing that is compiled, and distributed."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.config import TrainingConfig
from gemini_workshop.models.moe import auxiliary_loss, expert_loads, recorded_routing
from gemini_workshop.models.routing import Routing
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.losses import chunked_token_losses, token_losses
from gemini_workshop.training.precision import matrix_products_in
from gemini_workshop.training.processes import ALONE, Processes


class Objective(nn.Module):
    """A model with its losses, as the configuration says.

    Args:
        processes: those that share each batch. They judge the balance of experts by the load of all their tokens.

    Attributes:
        routings: how the latest batch was sent to the experts, one entry a layer that has some.
        loads: the share of choices that fell on each expert, over all processes, one row a layer.
    """

    def __init__(self, model: Transformer, config: TrainingConfig, processes: Processes = ALONE) -> None:
        super().__init__()
        self.model, self.config, self.processes = model, config, processes
        self.routings: list[Routing] = []
        self.loads: Float[Tensor, "L E"] | None = None

    def forward(
        self, inputs: Int[Tensor, "B T"], targets: Int[Tensor, "B T"], segment_ids: Int[Tensor, "B T"] | None = None
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """The *sum* of what all targets cost, and what the routers add to the mean."""
        moe = self.model.config.moe
        with matrix_products_in(self.config.precision, self.model):
            if moe is None:
                hidden = self.model.hidden_states(inputs, segment_ids=segment_ids)
            else:
                with recorded_routing(self.model) as self.routings:
                    hidden = self.model.hidden_states(inputs, segment_ids=segment_ids)
            losses = self._token_losses(hidden, targets)
        total = losses.sum()
        if moe is None:
            return total, total.new_zeros(())
        self.loads = self.processes.sum(expert_loads(self.routings)) / self.processes.count
        return total, auxiliary_loss(self.routings, moe, self.loads).to(total.dtype)

    def _token_losses(self, hidden: Float[Tensor, "B T D"], targets: Int[Tensor, "B T"]) -> Tensor:
        smoothing, z_weight = self.config.label_smoothing, self.config.z_loss_weight
        chunk = self.config.loss_chunk_tokens
        if chunk is None:
            logits = self.model.logits(hidden)
            return token_losses(logits, targets, label_smoothing=smoothing, z_loss_weight=z_weight)
        return chunked_token_losses(
            hidden, self.model.logits, targets, chunk, label_smoothing=smoothing, z_loss_weight=z_weight
        )
