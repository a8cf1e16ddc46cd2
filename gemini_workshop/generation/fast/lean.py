"""A copy of a model that decodes faster: the same function of the same weights, in fewer operations.

Decoding one token of a small model takes a few hundred operations on short vectors, and each costs more to start than
to compute. So:

    one product    query, key and value come from one matrix, and so do a gate and what it gates
    folded norms   W rms_norm(x) = W scale x / |x|: the scale is multiplied into W, and only the division remains
    one rotation   queries and keys are rotated together, by tables that all layers share
    direct calls   see :class:`~.parts.DecodingPart`

Every part that the copy replaces has to be exactly the package's own (:func:`~.original.is_original`). Anything else (a
LoRA layer, a part with a hook, a learner's own attention) stays as it is, and so does the norm before it.

The linear layers of a copy are those of :mod:`.narrow_weights`.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Literal, TypeGuard

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.fast.narrow_weights import LINEAR
from gemini_workshop.generation.fast.original import is_original
from gemini_workshop.generation.fast.parts import (
    LeanAttention,
    LeanBlock,
    LeanFeedForward,
    UnitNorm,
    WholeHeadRotary,
    rms_scale,
)
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.kernels.linear import FastLinear, FastTokenEmbedding, JointGatedFeedForward, JointQueryKeyValue
from gemini_workshop.models.attention_layers import GroupedQueryAttention
from gemini_workshop.models.embeddings import TokenEmbedding
from gemini_workshop.models.feedforward import FeedForward, GatedFeedForward
from gemini_workshop.models.moe import MixtureOfExperts
from gemini_workshop.models.normalization import OffsetRMSNorm, RMSNorm
from gemini_workshop.models.transformer import Rotary, Transformer
from gemini_workshop.models.transformer_block import DenseBesideExperts, TransformerBlock

Weights = Literal["fp32", "bf16", "int8"]
MakeLinear = Callable[[Tensor, Tensor | None], nn.Module]


@torch.no_grad()
def lean_copy(model: Transformer, weights: Weights = "fp32") -> Transformer:
    """The same model for decoding only: it can be neither trained nor saved.

    Its logits are those of the model. Its hidden states are not: the scale of the last norm is inside the head.

    Args:
        weights: how the matrices of attention, dense feed-forward layers and head are stored; ``fp32`` stores them as
            they are in the model, the others compute everything else in float32.

    Raises:
        WorkshopError: the model itself is of a class of its own, or has hooks or a ``forward`` of its own.
    """
    if not is_original(model, Transformer):
        raise WorkshopError(
            f"No lean copy can be made of this {type(model).__name__}: it may compute something else than Transformer. "
            "Give a Transformer without hooks and without a forward of its own, or decode without a copy."
        )
    make = LINEAR[weights]
    lean = copy.deepcopy(model).requires_grad_(False).eval()
    accelerate(lean)  # what stays as it is should be fast, too
    if weights != "fp32":
        lean.float()
    embedding, head = lean.embedding, lean.head
    if is_linear(head):
        lean.norm, weight = fold(lean.norm, head.weight)
        lean.head = make(weight, head.bias)  # type: ignore[assignment]
    elif head is None and is_original(embedding, TokenEmbedding, FastTokenEmbedding):
        lean.norm, weight = fold(lean.norm, embedding.weight)
        lean.head = make(weight, None)  # type: ignore[assignment]
    for i, block in enumerate(lean.blocks):
        if is_original(block, TransformerBlock):
            # Replacing changes a block in place. Copied first, a part that two blocks share is replaced in each.
            lean.blocks[i] = lean_block(copy.deepcopy(block), make)
    if _rotates_whole_heads(lean):
        lean.rotary = nn.ModuleList(WholeHeadRotary(rotary) for rotary in lean.rotary)
    return lean


def is_linear(layer: nn.Module | None) -> TypeGuard[nn.Linear]:
    """Whether a layer is ``x W.T + b`` and nothing else."""
    return is_original(layer, nn.Linear, FastLinear)


def are_linear(layers: Sequence[nn.Module | None]) -> TypeGuard[Sequence[nn.Linear]]:
    """Whether all of these are."""
    return all(map(is_linear, layers))


def joined(layers: Sequence[nn.Linear]) -> tuple[Float[Tensor, "N D"], Float[Tensor, " N"] | None]:
    """Weight and bias of one layer whose output is that of all these, side by side."""
    weight = torch.cat([layer.weight for layer in layers])
    if all(layer.bias is None for layer in layers):
        return weight, None
    return weight, torch.cat(
        [weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias for layer in layers]
    )


def fold(norm: nn.Module, weight: Float[Tensor, "N D"]) -> tuple[nn.Module, Float[Tensor, "N D"]]:
    """A norm and the matrix that reads it, with the norm's scale multiplied into the matrix. Other norms stay."""
    if not is_original(norm, RMSNorm, OffsetRMSNorm):
        return norm, weight
    return UnitNorm(norm, weight.shape[1]), weight * rms_scale(norm, weight.shape[1])


def lean_block(block: TransformerBlock, make: MakeLinear) -> nn.Module:
    """A block with its attention and its feed-forward replaced where they are the package's own."""
    norm, attention = lean_attention(block.attention_norm, block.attention, make)
    block.attention_norm, block.attention = norm, attention  # type: ignore[assignment]
    block.feed_forward_norm, block.feed_forward = lean_feed_forward(block.feed_forward_norm, block.feed_forward, make)
    for module in list(block.feed_forward.modules()):
        if is_original(module, MixtureOfExperts, DenseBesideExperts):
            for name, layer in list(module.named_children()):
                # No norm to fold: the router may read what these layers read.
                setattr(module, name, lean_feed_forward(nn.Identity(), layer, make)[1])
    return LeanBlock(block) if _keeps_its_stream(block) else block


def lean_attention(norm: nn.Module, attention: nn.Module, make: MakeLinear) -> tuple[nn.Module, nn.Module]:
    """An attention layer and the norm before it, or what replaces them."""
    if not is_original(attention, GroupedQueryAttention, JointQueryKeyValue):
        return norm, attention
    projections = [attention.query, attention.key, attention.value]
    if not (are_linear(projections) and _has_joinable_heads(attention)):
        return norm, with_decoding_linears(attention, make)
    weight, bias = joined(projections)
    norm, weight = fold(norm, weight)
    return norm, LeanAttention(attention, make(weight, bias), decoding_linear(attention.output, make))


def lean_feed_forward(norm: nn.Module, layer: nn.Module, make: MakeLinear) -> tuple[nn.Module, nn.Module]:
    """A feed-forward layer and the norm before it, or what replaces them."""
    if is_original(layer, GatedFeedForward, JointGatedFeedForward):
        projections: list[nn.Linear] = [layer.gate, layer.up]
    elif is_original(layer, FeedForward):
        projections = [layer.up]
    else:
        return norm, layer
    if not are_linear(projections):
        return norm, with_decoding_linears(layer, make)
    weight, bias = joined(projections)
    norm, weight = fold(norm, weight)
    down = decoding_linear(layer.down, make)
    return norm, LeanFeedForward(make(weight, bias), down, layer.activation, is_gated=len(projections) == 2)


def with_decoding_linears(module: nn.Module, make: MakeLinear) -> nn.Module:
    """A module after its linear layers were replaced."""
    for name, layer in list(module.named_children()):
        setattr(module, name, decoding_linear(layer, make))
    return module


def decoding_linear(layer: nn.Module, make: MakeLinear) -> nn.Module:
    """What replaces a linear layer; any other layer stays as it is."""
    return make(layer.weight, layer.bias) if is_linear(layer) else layer


def _has_joinable_heads(attention: GroupedQueryAttention) -> bool:
    """Whether queries and keys are normed alike, head by head or not at all, and values are not.

    A :class:`~.parts.LeanAttention` divides and rotates queries and keys together, as the heads of one tensor.
    """
    query_norm, key_norm = attention.query_norm, attention.key_norm
    return is_original(attention.value_norm, nn.Identity) and (
        (is_original(query_norm, nn.Identity) and is_original(key_norm, nn.Identity))
        or (
            is_original(query_norm, RMSNorm, OffsetRMSNorm)
            and is_original(key_norm, RMSNorm, OffsetRMSNorm)
            and query_norm.eps == key_norm.eps
        )
    )


def _keeps_its_stream(block: TransformerBlock) -> bool:
    """Whether its two sublayers add to the stream, and nothing else changes it."""
    stream_norms = (block.attention_stream_norm, block.feed_forward_stream_norm)
    return (
        all(is_original(norm, nn.Identity) for norm in stream_norms)
        and block.per_layer_gate is None
        and block.scale is None
    )


def _rotates_whole_heads(lean: Transformer) -> bool:
    """Whether all layers rotate whole heads, half by half, and all are replaced."""
    return (
        all(isinstance(block, LeanBlock) and isinstance(block.attention, LeanAttention) for block in lean.blocks)
        and all(is_original(rotary, Rotary) for rotary in lean.rotary)
        and all(layer.rope is not None and layer.rope.layout == "half" for layer in lean.layers)
        and all(layer.rope is not None and layer.rope.fraction == 1 for layer in lean.layers)
    )
