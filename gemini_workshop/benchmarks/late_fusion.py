"""Late fusion as an alternative to the one stream: the text keeps its places for media empty, and looks from outside.

    x = x + tanh(gate) * attention(norm(x), what stands in the places before it in its document);   x = block(x)

Source: Alayrac et al. 2022, arXiv:2204.14198, section 2.2.
Differs: gates start open, at 1, because no trained text model has to be protected; media are embedded as in the stream
instead of by encoders, and positions in the document are added to them.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gemini_workshop.config import ModelConfig
from gemini_workshop.models.attention import grouped_query_attention
from gemini_workshop.models.embeddings import segment_positions
from gemini_workshop.models.initialization import draw, draw_linear
from gemini_workshop.models.multi_head_attention import merge_heads, split_heads
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.normalization import make_norm
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.models.transformer_block import TransformerBlock

POSITION_STD = 0.02


class Outside(NamedTuple):
    """What the text can look at: a vector for each place of the row, and one of zeros, which is nothing, before all."""

    vectors: Float[Tensor, "B S D"]
    mask: Bool[Tensor, "B 1 T S"]


class LookingBlock(nn.Module):
    """A block that looks at the media before it attends to the text."""

    outside: Outside | None = None

    def __init__(self, config: ModelConfig, block: TransformerBlock) -> None:
        super().__init__()
        D, H, C = config.embed_dim, config.num_heads, config.head_dim
        self.block, self.num_heads = block, H
        self.norm = make_norm(config, D)
        self.query, self.key, self.value = (nn.Linear(D, H * C, bias=False) for _ in range(3))
        self.output = nn.Linear(H * C, D, bias=False)
        self.gate = nn.Parameter(torch.ones(1))

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights again, those of the block within included; the gate opens."""
        self.block.reset_parameters(generator)
        for layer in (self.query, self.key, self.value, self.output):
            draw_linear(layer, generator)
        nn.init.ones_(self.gate)

    def forward(self, x: Float[Tensor, "B T D"], *others: Any) -> Float[Tensor, "B T D"]:
        """Add what is found outside, then go on as any block."""
        if self.outside is not None:
            query = split_heads(self.query(self.norm(x)), self.num_heads)
            key, value = (split_heads(part(self.outside.vectors), self.num_heads) for part in (self.key, self.value))
            found = grouped_query_attention(query, key, value, self.outside.mask)
            x = x + torch.tanh(self.gate) * self.output(merge_heads(found))
        return cast("Tensor", self.block(x, *others))


class LateFusion(Transformer):
    """The decoder with media outside of its stream. It takes the same batches; there is no cache for it."""

    def __init__(self, config: ModelConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(config, generator)
        blocks = cast("Iterable[TransformerBlock]", self.blocks)
        self.blocks = nn.ModuleList(LookingBlock(config, block) for block in blocks)
        self.place = nn.Embedding(config.context_tokens, config.embed_dim)
        with torch.no_grad():
            draw(self.place.weight, POSITION_STD, generator)
            for block in cast("Iterable[LookingBlock]", self.blocks):
                block.reset_parameters(generator)

    def hidden_states(
        self, token_ids: Tensor, cache: Any = None, segment_ids: Tensor | None = None, media: Media | None = None
    ) -> Float[Tensor, "B T D"]:
        """As of any decoder; while it computes, its blocks know what is outside."""
        assert cache is None
        outside = None if media is None else self._outside(token_ids, segment_ids, media)
        for block in cast("Iterable[LookingBlock]", self.blocks):
            block.outside = outside
        return super().hidden_states(token_ids, None, segment_ids, None)

    def _outside(self, token_ids: Tensor, segment_ids: Tensor | None, media: Media) -> Outside:
        assert self.media_embedder is not None
        B, T = token_ids.shape
        segments = torch.ones_like(token_ids) if segment_ids is None else segment_ids
        nothing = self.embedding.weight.new_zeros(B, T, self.config.embed_dim)
        vectors = self.media_embedder(nothing, token_ids, media) + self.place(segment_positions(segments))
        media_config = self.media_embedder.media
        is_place = (token_ids == media_config.image_token_id) | (token_ids == media_config.audio_token_id)
        is_before = torch.ones(T, T, dtype=torch.bool, device=token_ids.device).tril()
        mask = is_place[:, None] & (segments[:, :, None] == segments[:, None]) & is_before
        mask = torch.cat([mask.new_ones(B, T, 1), mask], dim=2)
        return Outside(torch.cat([vectors.new_zeros(B, 1, vectors.shape[2]), vectors], dim=1), mask[:, None])
