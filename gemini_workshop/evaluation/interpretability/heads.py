"""Look at the attention heads of a model, and measure what each is worth.

A map that looks meaningful is a hint and no proof (Jain and Wallace 2019, arXiv:1902.10186). The measurement here is an
ablation: let one head average over everything that it may see, and count how much worse the model predicts.

Two kinds of head can be told by a number. A previous-token head looks one step back. An induction head looks for an
earlier place where the same token stood, and from there one step on: at what came next the last time (Olsson et al.
2022, arXiv:2209.11895).
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.kernels.backends import fast_causal_attention
from gemini_workshop.models.attention import AttentionFunction, AttentionRule, causal_attention_weights
from gemini_workshop.models.transformer import Transformer


@torch.no_grad()
def attention_maps(
    model: Transformer, token_ids: Int[Tensor, " T"], averaging: Collection[tuple[int, int]] = ()
) -> Float[Tensor, "L H T T"]:
    """The attention of every layer L and head H of a model on one text.

    Args:
        averaging: heads, as (layer, head), that give an equal weight to every token that they may see instead.
    """
    maps: list[Tensor] = []

    def attend_and_record(query: Tensor, key: Tensor, value: Tensor, rule: AttentionRule) -> Tensor:
        query = query.clone()
        query[:, [head for layer, head in averaging if layer == len(maps)]] = 0.0
        maps.append(causal_attention_weights(query, key, rule)[0].cpu())
        return fast_causal_attention(query, key, value, rule)

    with model.attention_by(attend_and_record):
        model(token_ids[None])
    return torch.stack(maps)


def previous_token_scores(maps: Float[Tensor, "*B T T"]) -> Float[Tensor, "*B"]:
    """The attention weight on the token just before the one that asks, averaged over the tokens of a text."""
    return maps.diagonal(-1, -2, -1).mean(-1)


def induction_scores(maps: Float[Tensor, "*B T T"], period: int) -> Float[Tensor, "*B"]:
    """The attention weight on what came next the last time, averaged over the repeated part of a text.

    Args:
        period: tokens after which the text repeats itself. Tokens in random order leave hardly any other clue.
    """
    return maps.diagonal(1 - period, -2, -1)[..., 1:].mean(-1)  # token `period` is the first that was there before


@torch.no_grad()
def head_costs(
    model: Transformer,
    token_ids: Int[Tensor, "B T"],
    loss: Callable[[Float[Tensor, "B T V"], Int[Tensor, "B T"]], Tensor],
) -> Float[Tensor, "L H"]:
    """How much the loss rises when one head averages evenly over all tokens that it may see.

    Args:
        loss: from logits and the token ids that they were computed for to one number.
    """
    base = loss(model(token_ids), token_ids)
    L, H = model.config.num_layers, model.config.num_heads
    costs = torch.zeros(L, H)
    for layer in range(L):
        for head in range(H):
            with averaging_heads(model, [(layer, head)]):
                costs[layer, head] = float(loss(model(token_ids), token_ids) - base)
    return costs


@contextmanager
def averaging_heads(model: Transformer, heads: Collection[tuple[int, int]]) -> Iterator[None]:
    """Let these heads, as (layer, head), give an equal weight to every token that they may see, for a while."""
    of_layer = [[head for place, head in heads if place == layer] for layer in range(model.config.num_layers)]
    functions = [_averaging(chosen) if chosen else fast_causal_attention for chosen in of_layer]
    with model.attention_by(functions):
        yield


def _averaging(heads: list[int]) -> AttentionFunction:
    """Attention in which some heads give an equal weight to every key that they may see: all scores are equal."""

    def attend(query: Tensor, key: Tensor, value: Tensor, rule: AttentionRule) -> Tensor:
        query = query.clone()
        query[:, heads] = 0.0
        return fast_causal_attention(query, key, value, rule)

    return attend
