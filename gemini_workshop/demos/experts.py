"""Which experts each token of a sentence is sent to, in every layer that has experts."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.demos.limits import Limits
from gemini_workshop.demos.shelf import Loaded
from gemini_workshop.demos.vocabularies import token_texts
from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.moe import expert_loads, recorded_routing


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """Where the tokens of a sentence go.

    Args:
        layers: the blocks that have experts, from 0.
        weights: of each expert for each token, 0 where it was not chosen.
        loads: the fraction of all choices that falls on each expert.
    """

    tokens: list[str]
    layers: list[int]
    weights: Float[Tensor, "layers T E"]
    loads: Float[Tensor, "layers E"]


def without_experts(name: str) -> str:
    """What to say about a model of this name that has no experts."""
    return (
        f"{name} has no experts: each token passes all neurons. Choose a model that has some, "
        "or start the demo with one: gemini-workshop demo mini-gemini."
    )


def expert_traffic(loaded: Loaded, text: str, limits: Limits) -> Traffic:
    """Read a sentence and record what the routers decide.

    Raises:
        WorkshopError: the model has no experts, or the sentence is empty or too long.
    """
    from gemini_workshop.data.tokenizers import prompt_ids

    served = loaded.served
    if served.model.config.moe is None:
        raise WorkshopError(without_experts(served.name))
    ids = limits.ids_of(prompt_ids(served.tokenizer, text))
    with loaded.lock, torch.no_grad(), recorded_routing(served.model) as routings:
        served.model(torch.tensor([ids], device=served.model.embedding.weight.device))
    weights = [
        torch.zeros_like(routing.probabilities).scatter(-1, routing.experts, routing.weights) for routing in routings
    ]
    return Traffic(
        tokens=token_texts(served, ids),
        layers=[i for i, layer in enumerate(served.model.layers) if layer.has_experts],
        weights=torch.stack(weights).float().cpu(),
        loads=expert_loads(routings).float().cpu(),
    )
