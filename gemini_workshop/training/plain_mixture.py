"""The loss of a sparse model in its plainest form: what lesson 13 trains on. :mod:`.objective` does the same."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.models.routing import expert_load, load_balancing_loss, router_z_loss
from gemini_workshop.training.losses import cross_entropy


def mixture_loss(
    logits: Float[Tensor, "B T V"],
    targets: Int[Tensor, "B T"],
    routings: Sequence[tuple[Float[Tensor, "N E"], Int[Tensor, "N A"]]],
    balance_weight: float,
    z_weight: float,
) -> Float[Tensor, ""]:
    """The loss of the answers, and what keeps the routers in order.

    Args:
        targets: IGNORE_INDEX, -100, where nothing is to be predicted: questions, images, audio, padding.
        routings: of each layer with experts, the router's scores of all tokens, and the experts that they chose.
        balance_weight: of the load-balancing loss, the mean over the layers.
        z_weight: of the router's z-loss, the mean over the layers.
    """
    extra = []
    for scores, experts in routings:
        load = expert_load(experts, scores.shape[-1])
        balance = load_balancing_loss(scores.softmax(-1), load)
        extra.append(balance_weight * balance + z_weight * router_z_loss(scores))
    return cross_entropy(logits, targets) + torch.stack(extra).mean()
