"""A mixture of experts: the weights of many feed-forward layers, at the cost of the few that each token uses.

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
from gemini_workshop.models.experts import ExpertWeights, sparse_moe_forward
from gemini_workshop.models.feedforward import CLAMPED_SWISH, GatedFeedForward
from gemini_workshop.models.initialization import EMBEDDING_STD, draw
from gemini_workshop.models.normalization import rms_norm
from gemini_workshop.models.routing import (
    Routing,
    balanced_bias,
    expert_capacity,
    expert_load,
    load_balancing_loss,
    route,
    router_z_loss,
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
        self.weight = nn.Parameter(torch.empty(config.num_experts, embed_dim))
        self.bias = nn.Parameter(torch.zeros(config.num_experts)) if config.router_bias else None
        self.scale = nn.Parameter(torch.ones(embed_dim)) if config.router_norm else None
        self.expert_scale = nn.Parameter(torch.ones(config.num_experts)) if config.per_expert_scale else None
        self.register_buffer("selection_bias", torch.zeros(config.num_experts) if config.selection_bias else None)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights again, small; scales are one."""
        draw(self.weight, EMBEDDING_STD, generator)
        if self.bias is not None:
            self.bias.zero_()
        for scale in (self.scale, self.expert_scale):
            if scale is not None:
                scale.fill_(1.0)

    def forward(self, x: Float[Tensor, "N D"]) -> Routing:
        """Choose each token's experts. Only in training does a full expert drop tokens."""
        config = self.config
        routing = route(
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
            # One entry per router: appended the first time, replaced when the layer is computed again.
            self.record[self.record_index : self.record_index + 1] = [routing]
        return routing

    def logits(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N E"]:
        """One score for each expert. Autocast is off: rounded scores would change which experts are chosen."""
        with torch.autocast(x.device.type, enabled=False):
            dtype = torch.promote_types(x.dtype, torch.float32)
            x = x.to(dtype)
            if self.scale is not None:
                x = rms_norm(x, self.scale.to(dtype), self.norm_eps) * x.shape[-1] ** -0.5
            return F.linear(x, self.weight.to(dtype), None if self.bias is None else self.bias.to(dtype))


class Experts(nn.Module):
    """The weights of all experts, stacked."""

    compute = staticmethod(sparse_moe_forward)

    def __init__(self, embed_dim: int, config: MoEConfig, activation: str) -> None:
        super().__init__()
        E, F_ = config.num_experts, config.expert_dim
        self.gate_up = nn.Parameter(torch.empty(E, 2 * F_, embed_dim))
        self.down = nn.Parameter(torch.empty(E, embed_dim, F_))
        self.gate_up_bias = nn.Parameter(torch.empty(E, 2 * F_)) if config.expert_bias else None
        self.down_bias = nn.Parameter(torch.empty(E, embed_dim)) if config.expert_bias else None
        # Only gpt-oss has biases in its experts, and only gpt-oss has this gate.
        self.activation = CLAMPED_SWISH if config.expert_bias else activation
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None, *, is_silent: bool = False) -> None:
        """Draw the weights again; those of the down projection are zero if the layer starts silent."""
        draw(self.gate_up, self.gate_up.shape[-1] ** -0.5, generator)
        draw(self.down, 0.0 if is_silent else self.down.shape[-1] ** -0.5, generator)
        for bias in (self.gate_up_bias, self.down_bias):
            if bias is not None:
                bias.zero_()

    def forward(self, x: Float[Tensor, "N D"], routing: Routing) -> Float[Tensor, "N D"]:
        """Send each token through its experts, under autocast in its dtype."""
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        return self.compute(x.to(dtype), routing, self.weights().to(dtype))

    def weights(self) -> ExpertWeights:
        """All of them as one value."""
        return ExpertWeights(
            gate_up=self.gate_up,
            down=self.down,
            activation=self.activation,
            gate_up_bias=self.gate_up_bias,
            down_bias=self.down_bias,
        )


class MixtureOfExperts(nn.Module):
    """A router chooses among the experts for each token; shared experts, if there are any, see every token.

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

    def reset_parameters(self, generator: torch.Generator | None = None, *, is_silent: bool = False) -> None:
        """Draw the weights again; a layer that starts silent adds nothing to the stream at first."""
        self.router.reset_parameters(generator)
        self.experts.reset_parameters(generator, is_silent=is_silent)
        if self.shared is not None:
            self.shared.reset_parameters(generator, is_silent=is_silent)

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
    """For each layer, the fraction of choices that falls on each expert."""
    return torch.stack([expert_load(routing.experts, routing.logits.shape[-1]) for routing in routings])


def auxiliary_loss(
    routings: Sequence[Routing], config: MoEConfig, loads: Float[Tensor, "L E"] | None = None
) -> Float[Tensor, ""]:
    """What training adds to the loss for the routers: weighted balance loss and z-loss, averaged over the layers.

    Balance is judged layer by layer: pooled over layers, opposite collapses would look even.

    Args:
        loads: those of the whole batch, if these tokens are only a part of it; by default, their own.
    """
    loads = expert_loads(routings) if loads is None else loads
    losses = [
        config.balance_weight * load_balancing_loss(routing.probabilities, load)
        + config.z_weight * router_z_loss(routing.logits)
        for routing, load in zip(routings, loads, strict=True)
    ]
    return torch.stack(losses).mean()


@torch.no_grad()
def update_selection_bias(model: nn.Module, loads: Float[Tensor, "L E"]) -> None:
    """After a step of training, move each router's selection bias against the load of its layer."""
    for router, load in zip(_routers(model), loads, strict=True):
        if router.selection_bias is not None:
            router.selection_bias.copy_(balanced_bias(router.selection_bias, load, router.config.bias_rate))


def _routers(model: nn.Module) -> list[Router]:
    return [module for module in model.modules() if isinstance(module, Router)]
