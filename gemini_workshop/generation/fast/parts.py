"""The parts that a lean copy is put together from."""

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.fast.original import is_original
from gemini_workshop.models.attention_layers import GroupedQueryAttention
from gemini_workshop.models.embeddings import Rotation, rotate
from gemini_workshop.models.feedforward import gate_units
from gemini_workshop.models.key_value_store import KeyValueStore, images_of_keys, segments_of_keys
from gemini_workshop.models.normalization import OffsetRMSNorm, RMSNorm
from gemini_workshop.models.transformer_block import TransformerBlock


class DecodingPart(nn.Module):
    """A part of a copy: calling it is calling its ``forward``.

    PyTorch's own call looks for hooks first, which takes longer than some of these parts. So they can have none.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.__call__ = cls.forward  # type: ignore[method-assign]

    def register_forward_hook(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refuse: a hook would never be called."""
        raise WorkshopError(
            f"{type(self).__name__} is part of a copy for decoding, which calls no hooks. "
            "Register the hook on the model first, and copy it then."
        )

    register_forward_pre_hook = register_forward_hook


def rms_scale(norm: RMSNorm, width: int) -> Float[Tensor, " D"]:
    """What RMSNorm multiplies a vector of length one with."""
    weight = norm.weight + 1.0 if isinstance(norm, OffsetRMSNorm) else norm.weight
    return weight * width**0.5


class UnitNorm(DecodingPart):
    """``x / sqrt(|x|^2 + width * eps)``: RMSNorm without its scale, ``weight * sqrt(width)``."""

    floor: Tensor

    def __init__(self, norm: RMSNorm, width: int) -> None:
        super().__init__()
        self.register_buffer("floor", norm.weight.new_tensor((norm.eps * width) ** 0.5))

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Divide each vector by its length."""
        return x / torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), self.floor)


class WholeHeadRotation(NamedTuple):
    """Cosine and signed sine for every channel of a head: ``x cos + (x rolled by half a head) signed_sin``."""

    cos: Float[Tensor, "*B T C"]
    signed_sin: Float[Tensor, "*B T C"]


class WholeHeadRotary(DecodingPart):
    """The tables of a rotary that pairs each channel of the first half of a head with one of the second half."""

    def __init__(self, rotary: nn.Module) -> None:
        super().__init__()
        self.rotary = rotary

    def forward(self, positions: Int[Tensor, "*B T"]) -> WholeHeadRotation:
        """The cosines for both halves, and the sines with a minus for the first."""
        cos, sin, _ = self.rotary(positions)
        return WholeHeadRotation(torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1))


def turn(x: Float[Tensor, "B H T C"], rotation: Rotation | WholeHeadRotation | None) -> Float[Tensor, "B H T C"]:
    """:func:`~gemini_workshop.models.embeddings.rotate`, with tables of whole heads in fewer operations."""
    if not isinstance(rotation, WholeHeadRotation):
        return rotate(x, rotation)
    cos, signed_sin = rotation.cos.to(x.dtype), rotation.signed_sin.to(x.dtype)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), signed_sin)


class LeanAttention(DecodingPart):
    """Grouped-query attention whose queries, keys and values come from one product.

    Args:
        source: the layer that this one replaces. It gives its projections away, and keeps what it adds to plain
            causal attention (``rule``) and the function that attends (``attend``).
    """

    head_scales: Tensor

    def __init__(self, source: GroupedQueryAttention, query_key_value: nn.Module, output: nn.Module) -> None:
        super().__init__()
        self.query_key_value, self.source, self.output = query_key_value, source, output
        H, K, C = source.num_heads, source.layer.num_kv_heads, source.layer.head_dim
        self.num_heads, self.num_kv_heads, self.head_dim = H, K, C
        self.head_norm = None
        if isinstance(source.query_norm, RMSNorm) and isinstance(source.key_norm, RMSNorm):
            self.head_norm = UnitNorm(source.query_norm, C)
            scales = [rms_scale(source.query_norm, C).expand(H, C), rms_scale(source.key_norm, C).expand(K, C)]
            self.register_buffer("head_scales", torch.cat(scales).unsqueeze(1))
        del source.query, source.key, source.value

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation | WholeHeadRotation | None = None,
        store: KeyValueStore | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
        image_ids: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Let every token gather from itself and the tokens before it, stored ones included, and from its image."""
        B, T, _ = x.shape
        H, K, source = self.num_heads, self.num_kv_heads, self.source
        heads = self.query_key_value(x).view(B, T, -1, self.head_dim).transpose(1, 2)
        query_key, value = heads.split_with_sizes([H + K, K], dim=1)
        if self.head_norm is not None:
            query_key = self.head_norm(query_key) * self.head_scales
        query, key = turn(query_key, rotation).split_with_sizes([H, K], dim=1)
        if store is not None:
            key, value = store.append(key, value)
        rule = source.rule(segments_of_keys(segment_ids, key), images_of_keys(image_ids, key))
        mixed = source.attend(query, key, value, rule)
        return self.output(mixed.transpose(1, 2).reshape(B, T, -1))


class LeanFeedForward(DecodingPart):
    """A feed-forward layer; if it is gated, one product projects to the gate and to what it gates."""

    def __init__(self, up: nn.Module, down: nn.Module, activation: Callable[[Tensor], Tensor], is_gated: bool) -> None:
        super().__init__()
        self.up, self.down, self.activation, self.is_gated = up, down, activation, is_gated

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Transform each token on its own."""
        units = self.up(x)
        if self.is_gated:
            gate, up = units.chunk(2, dim=-1)
            return self.down(gate_units(gate, up, self.activation))
        return self.down(self.activation(units))


class NoNorm(DecodingPart):
    """``x``. PyTorch's Identity takes longer."""

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """The same."""
        return x


class LeanBlock(DecodingPart):
    """A block with norms before its two sublayers, perhaps after them as well, and nothing else."""

    def __init__(self, source: TransformerBlock) -> None:
        super().__init__()
        self.attention_norm, self.attention = source.attention_norm, source.attention
        self.feed_forward_norm, self.feed_forward = source.feed_forward_norm, source.feed_forward
        self.attention_output_norm, self.feed_forward_output_norm = (
            NoNorm() if is_original(norm, nn.Identity) else norm
            for norm in (source.attention_output_norm, source.feed_forward_output_norm)
        )

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        rotation: Rotation | WholeHeadRotation | None = None,
        store: KeyValueStore | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
        image_ids: Int[Tensor, "B T"] | None = None,
        _layer_embedding: None = None,
    ) -> Float[Tensor, "B T D"]:
        """Add what each sublayer finds to the stream."""
        attended = self.attention(self.attention_norm(x), rotation, store, segment_ids, image_ids)
        x = x + self.attention_output_norm(attended)
        return x + self.feed_forward_output_norm(self.feed_forward(self.feed_forward_norm(x)))
