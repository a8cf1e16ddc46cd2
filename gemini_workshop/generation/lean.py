"""A copy of a model that decodes faster: the same function of the same weights, put together in fewer steps.

Writing one token of a small model takes a few hundred operations on short vectors, and each costs more to start than
to compute. So:

    queries, keys and values come from one product, and so do a gate and what it gates
    queries and keys are turned as if they were one, by tables that all layers share
    the weight of a norm is multiplied into the matrix that reads it, which leaves a division
    calling a part is calling its forward: PyTorch's own way, which looks for hooks, takes longer than some of them

Its linear layers are those of :mod:`.narrow_weights`. Whatever part of a model has another form stays as it is.
"""

import copy
from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.generation.narrow_weights import BFloat16Linear, DecodingLinear, Int8Linear
from gemini_workshop.models.attention_layers import GroupedQueryAttention, KeyValueStore, Rotation, rotate
from gemini_workshop.models.feedforward import FeedForward, GatedFeedForward, gate_units
from gemini_workshop.models.normalization import OffsetRMSNorm, RMSNorm
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.models.transformer_block import TransformerBlock

Weights = Literal["fp32", "bf16", "int8"]
LINEAR: dict[str, Callable[..., Any]] = {"fp32": DecodingLinear, "bf16": BFloat16Linear, "int8": Int8Linear}


@torch.no_grad()
def lean_copy(model: Transformer, weights: Weights = "fp32") -> Transformer:
    """The same model for decoding only: it can neither be trained nor saved.

    Args:
        weights: how the matrices of attention, dense feed-forward layers and head are stored; with ``fp32``, as they
            are in the model.
    """
    lean = copy.deepcopy(model).requires_grad_(False)
    if lean.head is None:  # the embedding itself stays as it is
        lean.head = nn.Linear(lean.config.embed_dim, lean.config.vocab_size, bias=False, device="meta")
        lean.head.weight = nn.Parameter(lean.embedding.weight.clone(), requires_grad=False)
    lean.norm = _folded(lean.norm, lean.head)
    blocks = [block for block in lean.blocks if isinstance(block, TransformerBlock)]
    for block in blocks:
        _merge(block)
    lean.blocks = nn.ModuleList(LeanBlock(block) if _is_plain(block) else block for block in blocks)
    if all(isinstance(block.attention, MergedAttention) for block in blocks) and _turns_whole_heads(lean):
        lean.rotary = nn.ModuleList(RollingRotary(rotary) for rotary in lean.rotary)
    _store(lean if weights == "fp32" else lean.float(), LINEAR[weights])
    return lean.eval()


class UnitNorm(nn.Module):
    """What is left of RMSNorm when its weight, and the root of the width, are in the matrix that reads it."""

    floor: Tensor

    def __init__(self, norm: RMSNorm, width: int) -> None:
        super().__init__()
        self.register_buffer("floor", norm.weight.new_tensor((norm.eps * width) ** 0.5))

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Divide each vector by its length."""
        return x / torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), self.floor)

    __call__ = forward


class RollingRotary(nn.Module):
    """Cosines and sines for all channels of a head: turning is then two products and a roll by half a head."""

    def __init__(self, rotary: nn.Module) -> None:
        super().__init__()
        self.rotary = rotary

    def forward(self, positions: Int[Tensor, "*B T"]) -> Rotation:
        """As the rotary it is made from, twice as wide."""
        cos, sin, _ = self.rotary(positions)
        return Rotation(torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1), "rolling")


def turn(x: Float[Tensor, "B H T C"], rotation: Rotation | None) -> Float[Tensor, "B H T C"]:
    """:func:`~gemini_workshop.models.attention_layers.rotate`, and by the tables of :class:`RollingRotary`."""
    if rotation is None or rotation.layout != "rolling":
        return rotate(x, rotation)
    cos, sin = rotation.cos.to(x.dtype), rotation.sin.to(x.dtype)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


class MergedAttention(GroupedQueryAttention):
    """Grouped-query attention whose queries, keys and values come from one product."""

    head_scales: Tensor

    def __init__(self, source: GroupedQueryAttention) -> None:
        nn.Module.__init__(self)
        assert source.key is not None
        assert source.value is not None
        self.layer, self.num_heads, self.softcap = source.layer, source.num_heads, source.softcap
        self.sinks, self.slopes, self.attend = source.sinks, source.slopes, source.attend
        H, K, C = self.num_heads, self.layer.num_kv_heads, self.layer.head_dim
        self.query_key_value = merged([source.query, source.key, source.value])
        self.output = source.output
        self.num_turning, self.num_kv_heads = H + K, K
        self.head_norm = None
        if isinstance(source.query_norm, RMSNorm) and isinstance(source.key_norm, RMSNorm):
            self.head_norm = UnitNorm(source.query_norm, C)
            scales = [rms_scale(source.query_norm, C).expand(H, C), rms_scale(source.key_norm, C).expand(K, C)]
            self.register_buffer("head_scales", torch.cat(scales).unsqueeze(1))

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation | None = None,
        store: KeyValueStore | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Let every token gather from itself and the tokens before it, stored ones included."""
        B, T, _ = x.shape
        heads = self.query_key_value(x).view(B, T, -1, self.layer.head_dim).transpose(1, 2)
        turning, value = heads.split_with_sizes([self.num_turning, self.num_kv_heads], dim=1)
        if self.head_norm is not None:
            turning = self.head_norm(turning) * self.head_scales
        query, key = turn(turning, rotation).split_with_sizes([self.num_heads, self.num_kv_heads], dim=1)
        if store is not None:
            key, value = store.append(key, value)
        seen_ids = None if segment_ids is None else segment_ids[:, -key.shape[2] :]
        mixed = self.attend(query, key, value, self.rule(seen_ids))
        return self.output(mixed.transpose(1, 2).reshape(B, T, -1))

    __call__ = forward


class LeanBlock(nn.Module):
    """A block with norms before its two sublayers and nothing else: it calls nothing that does nothing."""

    def __init__(self, source: TransformerBlock) -> None:
        super().__init__()
        self.attention_norm, self.attention = source.attention_norm, source.attention
        self.feed_forward_norm, self.feed_forward = source.feed_forward_norm, source.feed_forward

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation | None = None,
        store: KeyValueStore | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
        _per_layer: None = None,
    ) -> Float[Tensor, "B T D"]:
        """Add what each sublayer finds to the stream."""
        x = x + self.attention(self.attention_norm(x), rotation, store, segment_ids)
        return x + self.feed_forward(self.feed_forward_norm(x))

    __call__ = forward


class MergedFeedForward(nn.Module):
    """A gated feed-forward whose two projections up are one product."""

    def __init__(self, source: GatedFeedForward) -> None:
        super().__init__()
        self.activation = source.activation
        self.gate_up, self.down = merged([source.gate, source.up]), source.down

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Transform each token on its own."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(gate_units(gate, up, self.activation))

    __call__ = forward


def merged(layers: list[nn.Linear]) -> nn.Linear:
    """One layer whose output is theirs side by side."""
    weight = torch.cat([layer.weight for layer in layers])
    one = nn.Linear(weight.shape[1], weight.shape[0], bias=layers[0].bias is not None, device="meta")
    one.weight = nn.Parameter(weight, requires_grad=False)
    if layers[0].bias is not None:
        one.bias = nn.Parameter(torch.cat([layer.bias for layer in layers]), requires_grad=False)
    return one


def rms_scale(norm: RMSNorm, width: int) -> Float[Tensor, " D"]:
    """What RMSNorm multiplies a vector of length one with."""
    weight = norm.weight + 1.0 if isinstance(norm, OffsetRMSNorm) else norm.weight
    return weight * width**0.5


def _merge(block: TransformerBlock) -> None:
    """Merge what can be merged in a block; what has another form stays."""
    attention, feed_forward = block.attention, block.feed_forward
    if isinstance(attention, GroupedQueryAttention) and _is_mergeable(attention):
        block.attention = MergedAttention(attention)
        block.attention_norm = _folded(block.attention_norm, block.attention.query_key_value)
    if isinstance(feed_forward, GatedFeedForward):
        block.feed_forward = MergedFeedForward(feed_forward)
        block.feed_forward_norm = _folded(block.feed_forward_norm, block.feed_forward.gate_up)
    if isinstance(feed_forward, FeedForward):
        block.feed_forward_norm = _folded(block.feed_forward_norm, feed_forward.up)


def _is_plain(block: TransformerBlock) -> bool:
    others = ("attention_output_norm", "attention_stream_norm", "feed_forward_output_norm", "feed_forward_stream_norm")
    return (
        all(isinstance(getattr(block, name), nn.Identity) for name in others)
        and not block.reads_stream
        and block.per_layer_input is None
        and block.scale is None
    )


def _is_mergeable(attention: GroupedQueryAttention) -> bool:
    return (
        attention.key is not None
        and attention.value is not None
        and isinstance(attention.value_norm, nn.Identity)
        and type(attention.query_norm) in (nn.Identity, RMSNorm, OffsetRMSNorm)
    )


def _folded(norm: nn.Module, reader: nn.Linear) -> nn.Module:
    """Multiply an RMSNorm's weight into the matrix that reads it; return the norm that is left."""
    if type(norm) not in (RMSNorm, OffsetRMSNorm):
        return norm
    assert isinstance(norm, RMSNorm)
    reader.weight *= rms_scale(norm, reader.in_features)
    return UnitNorm(norm, reader.in_features)


def _turns_whole_heads(model: Transformer) -> bool:
    return all(
        layer.rope is not None and layer.rope.layout == "half" and layer.rope.fraction == 1 for layer in model.layers
    )


def _store(model: Transformer, linear: Callable[..., Any]) -> None:
    """Put other linear layers in the place of those of attention, dense feed-forward layers and head."""
    for module in list(model.modules()):
        if isinstance(module, GroupedQueryAttention | FeedForward | GatedFeedForward | MergedFeedForward):
            for name, layer in list(module.named_children()):
                if isinstance(layer, nn.Linear):
                    setattr(module, name, linear(layer.weight, layer.bias))
    assert isinstance(model.head, nn.Linear)
    model.head = linear(model.head.weight)
