"""Look at the neurons of the feed-forward layers as memories: what each answers to, and what it then says.

    feed_forward(x) = sum over neurons i of strength_i(x) * value_i

The strength ("memory coefficient" in the paper) is what the neuron holds after activation and gate; the value is its
column of the matrix down.

Source: Geva et al. 2021, arXiv:2012.14913, sections 3 and 4; Geva et al. 2022, arXiv:2203.14680, section 3.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.feedforward import FeedForward, GatedFeedForward
from gemini_workshop.models.normalization import OffsetRMSNorm
from gemini_workshop.models.transformer import Transformer


@torch.no_grad()
def neuron_strengths(model: Transformer, token_ids: Int[Tensor, " T"]) -> Float[Tensor, "L T F"]:
    """How strongly each neuron of every layer answers to each token of a text."""
    read: list[Tensor] = []

    def record(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        read.append(inputs[0][0].cpu())

    downs = [dense_layer(model, layer).down for layer in range(model.config.num_layers)]
    hooks = [down.register_forward_pre_hook(record) for down in downs]
    try:
        model(token_ids[None])
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(read)


@torch.no_grad()
def promoted_scores(model: Transformer, layer: int) -> Float[Tensor, "F V"]:
    """What each neuron's value adds to the score of every token, if it alone is written to the stream.

    The gains of the norms on the way to the head are counted, their division by the size of the stream is not: the
    order of a neuron's tokens is right, the scores of two layers cannot be compared.
    """
    gains = [_gain(norm) for norm in (model.blocks[layer].feed_forward_output_norm, model.norm)]
    return model.logits(dense_layer(model, layer).down.weight.T * math.prod(gains)).cpu()


@contextmanager
def silenced(model: Transformer, layer: int, neurons: int | slice) -> Iterator[None]:
    """Let one neuron, or all of a slice, say nothing for a while."""
    weight = dense_layer(model, layer).down.weight
    values = weight[:, neurons].detach().clone()
    try:
        with torch.no_grad():
            weight[:, neurons] = 0.0
        yield
    finally:
        with torch.no_grad():
            weight[:, neurons] = values


def dense_layer(model: Transformer, layer: int) -> FeedForward | GatedFeedForward:
    """A layer's feed-forward.

    Raises:
        WorkshopError: the layer has experts in its place.
    """
    feed_forward = model.blocks[layer].feed_forward
    if not isinstance(feed_forward, FeedForward | GatedFeedForward):
        raise WorkshopError(
            f"Layer {layer} has experts, and each token uses other neurons. Take a model with moe: null."
        )
    return feed_forward


def _gain(norm: Any) -> Any:
    """What a norm multiplies each channel by."""
    if isinstance(norm, nn.Identity):
        return 1.0
    return 1.0 + norm.weight if isinstance(norm, OffsetRMSNorm) else norm.weight
