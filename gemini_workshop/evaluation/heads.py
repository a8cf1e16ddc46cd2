"""Look at the attention heads of a model, and measure what each is worth.

A map that looks meaningful is a hint and no proof (Jain and Wallace 2019, arXiv:1902.10186). The measurement here is an
ablation: let one head average over everything that it may see, and count how much worse the model predicts.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.models.attention import AttentionFunction, AttentionRule, causal_attention_weights
from gemini_workshop.models.backends import fast_causal_attention
from gemini_workshop.models.transformer import Transformer


@torch.no_grad()
def attention_maps(model: Transformer, token_ids: Int[Tensor, " T"]) -> Float[Tensor, "L H T T"]:
    """The attention of every layer L and head H of a model on one text."""
    maps: list[Tensor] = []

    def attend_and_record(query: Tensor, key: Tensor, value: Tensor, rule: AttentionRule) -> Tensor:
        maps.append(causal_attention_weights(query, key, rule)[0].cpu())
        return fast_causal_attention(query, key, value, rule)

    with model.attention_by(attend_and_record):
        model(token_ids[None])
    return torch.stack(maps)


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
            functions: list[AttentionFunction] = [fast_causal_attention] * L
            functions[layer] = _averaging(head)
            with model.attention_by(functions):
                costs[layer, head] = float(loss(model(token_ids), token_ids) - base)
    return costs


def _averaging(head: int) -> AttentionFunction:
    """Attention in which one head gives an equal share to every key that it may see: all its scores are equal."""

    def attend(query: Tensor, key: Tensor, value: Tensor, rule: AttentionRule) -> Tensor:
        query = query.clone()
        query[:, head] = 0.0
        return fast_causal_attention(query, key, value, rule)

    return attend
