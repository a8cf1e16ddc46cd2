"""Each process keeps some of the experts, and the tokens travel to them.

    rows of each token's choices  ->  all-to-all  ->  the owners' experts  ->  all-to-all  ->  weighted sums

Every process routes its own tokens and holds the routers and all other weights. An expert's gradient then reaches its
owner from the tokens of all processes, and is never sent again.

Source: Lepikhin et al. 2020, arXiv:2006.16668, section 3 (GShard).
Differs: nothing is padded to a capacity; the processes first tell each other how many rows will come.
"""

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.errors import TrainingError
from gemini_workshop.kernels.experts import fast_moe_forward, sort_by_expert
from gemini_workshop.models.experts import ExpertWeights
from gemini_workshop.models.moe import Experts, MixtureOfExperts
from gemini_workshop.models.routing import Routing
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.training.parallel.processes import Processes


class Exchange(torch.autograd.Function):
    """An all-to-all of rows. The gradients return the same way."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, sent: list[int], received: list[int]) -> Tensor:
        """The rows that arrived, in the order of the processes.

        Args:
            sent: how many of the rows go to each process, in this order.
            received: how many come from each.
        """
        ctx.sent, ctx.received = sent, received
        arrived = rows.new_empty(sum(received), *rows.shape[1:])
        dist.all_to_all_single(arrived, rows.contiguous(), received, sent)
        return arrived

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Each row's gradient, back where the row came from."""
        return Exchange.apply(gradients[0], ctx.received, ctx.sent), None, None


class ParallelExperts(nn.Module):
    """Replaces :class:`~gemini_workshop.models.moe.Experts`, with this process's shard of its weights.

    The weights are distributed tensors, sharded by expert, under the same names.
    """

    def __init__(self, experts: Experts, processes: Processes) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor import Shard, distribute_tensor

        super().__init__()
        self.processes, self.activation, self.num_experts = processes, experts.activation, len(experts.down)
        mesh = init_device_mesh(experts.down.device.type, (processes.count,))
        for name in ("gate_up", "down", "gate_up_bias", "down_bias"):
            whole = getattr(experts, name)
            weight = None if whole is None else nn.Parameter(distribute_tensor(whole.data, mesh, [Shard(0)]))
            if weight is not None:  # the losses of the processes are means of their own; so must their sum be
                weight.register_hook(lambda gradient: gradient / processes.count)
            self.register_parameter(name, weight)

    def forward(self, x: Float[Tensor, "N D"], routing: Routing) -> Float[Tensor, "N D"]:
        """Send each token to the owners of its experts and add up what comes back."""
        per_token = routing.experts.shape[1]
        order, ends = sort_by_expert(routing.experts.masked_fill(~routing.kept, self.num_experts), self.num_experts)
        order = order[: int(ends[-1])]
        sent = ends.diff(prepend=ends.new_zeros(1)).view(self.processes.count, -1)  # to each process, for each expert
        received = torch.empty_like(sent)
        dist.all_to_all_single(received, sent)
        ways = sent.sum(dim=1).tolist(), received.sum(dim=1).tolist()
        arrived = Exchange.apply(x[order // per_token], *ways)
        answers = Exchange.apply(self._answers(arrived, received), *reversed(ways))
        weights = routing.weights.flatten()[order].to(answers.dtype).unsqueeze(-1)
        return torch.zeros_like(x, dtype=answers.dtype).index_add(0, order // per_token, answers * weights)

    def _answers(self, rows: Tensor, received: Tensor) -> Tensor:
        """What this process's experts make of rows that came from each process for each expert in turn."""
        experts = torch.arange(received.shape[1], device=rows.device).repeat(len(received))
        experts = experts.repeat_interleave(received.flatten()).unsqueeze(-1)
        unused = rows.new_zeros(1, 1).expand(len(rows), received.shape[1])
        routing = Routing(
            logits=unused,
            probabilities=unused,
            experts=experts,
            weights=torch.ones_like(experts, dtype=rows.dtype),
            kept=torch.ones_like(experts, dtype=torch.bool),
        )
        device = rows.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else rows.dtype
        own = {name: weight.to_local().to(dtype) for name, weight in self.named_parameters()}  # type: ignore[attr-defined]
        return fast_moe_forward(rows.to(dtype), routing, ExpertWeights(activation=self.activation, **own))


def shard_experts(model: Transformer, processes: Processes) -> None:
    """Let each process keep equally many of every layer's experts.

    Raises:
        TrainingError: the model has no experts, or they cannot be divided evenly.
    """
    config = model.config.moe
    if config is None:
        raise TrainingError("expert_parallel=true, but the model has no experts. Leave it false, or configure some.")
    if config.num_experts % processes.count:
        raise TrainingError(
            f"num_experts={config.num_experts} cannot be divided evenly among {processes.count} processes. "
            "Choose a number of processes that divides it."
        )
    for module in model.modules():
        if isinstance(module, MixtureOfExperts):
            module.experts = ParallelExperts(module.experts, processes)  # type: ignore[assignment]
