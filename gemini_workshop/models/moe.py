"""A mixture of experts: as many weights as many feed-forward layers, at the price of the few that a token passes.

    output = shared(x) + sum over the chosen experts of weight * expert(x)

Source: Fedus et al. 2021, arXiv:2101.03961; DeepSeekMoE, arXiv:2401.06066, section 3.2 (shared experts).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.config import MoEConfig
from gemini_workshop.models.experts import moe_forward
from gemini_workshop.models.feedforward import GatedFeedForward
from gemini_workshop.models.gates import CLAMPED_SWISH
from gemini_workshop.models.normalization import rms_norm
from gemini_workshop.models.routing import (
    Routing,
    balanced_bias,
    expert_capacity,
    expert_load,
    load_balancing_loss,
    router_z_loss,
    top_k_routing,
    within_capacity,
)


class Router(nn.Module):
    """Scores the experts for each token and chooses among them, in float32 at least.

    Attributes:
        record: where :func:`recorded_routing` collects what the routers decide.
    """

    selection_bias: Tensor | None
    record: list[Routing] | None = None
    record_index: int = 0

    def __init__(self, embed_dim: int, config: MoEConfig, norm_eps: float) -> None:
        super().__init__()
        self.config = config
        self.norm_eps = norm_eps
        self.weight = nn.Parameter(torch.randn(config.num_experts, embed_dim) * embed_dim**-0.5)
        self.bias = nn.Parameter(torch.zeros(config.num_experts)) if config.router_bias else None
        self.scale = nn.Parameter(torch.ones(embed_dim)) if config.router_norm else None
        self.expert_scale = nn.Parameter(torch.ones(config.num_experts)) if config.per_expert_scale else None
        self.register_buffer("selection_bias", torch.zeros(config.num_experts) if config.selection_bias else None)

    def forward(self, x: Float[Tensor, "N D"]) -> Routing:
        """Choose each token's experts. Only in training does an expert that is full turn tokens away."""
        config = self.config
        routing = top_k_routing(
            self.logits(x),
            config.experts_per_token,
            scoring=config.scoring,
            renormalize=config.renormalize,
            selection_bias=self.selection_bias,
            num_groups=config.num_groups,
            kept_groups=config.kept_groups,
            group_score=config.group_score,
        )
        weights = routing.weights * config.routed_scale
        if self.expert_scale is not None:
            weights = weights * self.expert_scale[routing.experts]
        kept = routing.kept
        if self.training and config.capacity_factor is not None:
            capacity = expert_capacity(len(x), config.num_experts, config.experts_per_token, config.capacity_factor)
            kept = within_capacity(routing.experts, capacity)
        routing = replace(routing, weights=weights, kept=kept)
        if self.record is not None:
            self.record[self.record_index : self.record_index + 1] = [routing]
        return routing

    def logits(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N E"]:
        """One score for each expert. Autocast is kept out: rounded scores would change which experts are chosen."""
        with torch.autocast(x.device.type, enabled=False):
            dtype = torch.promote_types(x.dtype, torch.float32)
            x = x.to(dtype)
            if self.scale is not None:
                x = rms_norm(x, self.scale.to(dtype), self.norm_eps) * x.shape[-1] ** -0.5
            return F.linear(x, self.weight.to(dtype), None if self.bias is None else self.bias.to(dtype))


class Experts(nn.Module):
    """The weights of all experts, stacked."""

    def __init__(self, embed_dim: int, config: MoEConfig, activation: str) -> None:
        super().__init__()
        E, F_ = config.num_experts, config.expert_dim
        self.gate_up = nn.Parameter(torch.randn(E, 2 * F_, embed_dim) * embed_dim**-0.5)
        self.down = nn.Parameter(torch.randn(E, embed_dim, F_) * F_**-0.5)
        self.gate_up_bias = nn.Parameter(torch.zeros(E, 2 * F_)) if config.expert_bias else None
        self.down_bias = nn.Parameter(torch.zeros(E, embed_dim)) if config.expert_bias else None
        self.activation = CLAMPED_SWISH if config.expert_bias else activation

    def forward(self, x: Float[Tensor, "N D"], routing: Routing) -> Float[Tensor, "N D"]:
        """Send each token through its experts, under autocast in its dtype."""
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        gate_up, down = self.gate_up.to(dtype), self.down.to(dtype)
        gate_up_bias, down_bias = (b if b is None else b.to(dtype) for b in (self.gate_up_bias, self.down_bias))
        return moe_forward(x.to(dtype), routing, gate_up, down, self.activation, gate_up_bias, down_bias)


class MixtureOfExperts(nn.Module):
    """Experts among which a router chooses for each token, and, if asked, some that every token passes.

    Args:
        norm_eps: added under the root where the router normalises what it reads; Gemma 4 takes its rms_norm_eps, 1e-6.
    """

    def __init__(self, embed_dim: int, config: MoEConfig, activation: str, norm_eps: float = 1e-6) -> None:
        super().__init__()
        self.router = Router(embed_dim, config, norm_eps)
        self.experts = Experts(embed_dim, config, activation)
        self.shared: GatedFeedForward | None = None
        if config.shared_experts:
            self.shared = GatedFeedForward(embed_dim, config.shared_experts * config.expert_dim, activation)

    def forward(
        self, x: Float[Tensor, "*B D"], router_input: Float[Tensor, "*B D"] | None = None
    ) -> Float[Tensor, "*B D"]:
        """Transform each token by its experts.

        Args:
            router_input: what the router reads, if that differs from what the experts read.
        """
        routing = self.router((x if router_input is None else router_input).flatten(0, -2))
        output = self.experts(x.flatten(0, -2), routing).view(x.shape)
        return output if self.shared is None else output + self.shared(x)


@contextmanager
def recorded_routing(model: nn.Module) -> Iterator[list[Routing]]:
    """The routing of each mixture of experts in the latest forward pass, first layer first, with gradients.

    A layer that gradient checkpointing computes again replaces its entry.
    """
    routings: list[Routing] = []
    routers = _routers(model)
    for i, router in enumerate(routers):
        router.record, router.record_index = routings, i
    try:
        yield routings
    finally:
        for router in routers:
            router.record = None


def expert_loads(routings: Sequence[Routing]) -> Float[Tensor, "L E"]:
    """Each layer's share of choices that falls on each expert."""
    return torch.stack([expert_load(routing.experts, routing.logits.shape[-1]) for routing in routings])


def auxiliary_loss(
    routings: Sequence[Routing], config: MoEConfig, loads: Float[Tensor, "L E"] | None = None
) -> Float[Tensor, ""]:
    """What training adds to the loss for the routers' sake: weighted balance and z-loss, mean of the layers.

    Balance is judged layer by layer: pooled over layers, opposite collapses would look even.

    Args:
        loads: of the batch that these tokens are some of; their own, if left out.
    """
    loads = expert_loads(routings) if loads is None else loads
    losses = [
        config.balance_weight * load_balancing_loss(routing.shares, routing.experts, load)
        + config.z_weight * router_z_loss(routing.logits)
        for routing, load in zip(routings, loads, strict=True)
    ]
    return torch.stack(losses).mean()


@torch.no_grad()
def update_selection_bias(model: nn.Module, loads: Float[Tensor, "L E"]) -> None:
    """After a step of training, move each router's selection bias against the load that its layer has seen."""
    for router, load in zip(_routers(model), loads, strict=True):
        if router.selection_bias is not None:
            router.selection_bias.copy_(balanced_bias(router.selection_bias, load, router.config.bias_rate))


def _routers(model: nn.Module) -> list[Router]:
    return [module for module in model.modules() if isinstance(module, Router)]
