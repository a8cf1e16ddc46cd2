"""An encoder of its own for images, and its way into the stream: SigLIP's vision transformer and Gemma 3's projector.

    patches -> Linear -> + place -> blocks that see all patches -> LayerNorm        the tower
            -> mean of each square of patches -> RMSNorm -> Linear                  the projector

Source: Zhai et al. 2023, arXiv:2303.15343, section 3; Dosovitskiy et al. 2020, arXiv:2010.11929, section 3.1; Gemma
Team 2025, arXiv:2503.19786, section 2; the modeling files of SigLIP and Gemma 3 in transformers 5.24.0.
Differs: images of one size only, as many as are given at once.
"""

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.config import MediaConfig, ModelConfig, TowerConfig
from gemini_workshop.models.attention import scaled_dot_product_attention
from gemini_workshop.models.initialization import EMBEDDING_STD, draw, draw_linear
from gemini_workshop.models.multi_head_attention import merge_heads, split_heads
from gemini_workshop.models.multimodal.embedders import COLORS
from gemini_workshop.models.normalization import LayerNorm, OffsetRMSNorm

TOWER_NORM_EPS = 1e-6


class VisionBlock(nn.Module):
    """Attention over all patches of an image and a feed-forward, each after a LayerNorm and added to the stream."""

    def __init__(self, tower: TowerConfig) -> None:
        super().__init__()
        E = tower.embed_dim
        self.num_heads = tower.num_heads
        self.attention_norm = LayerNorm(E, TOWER_NORM_EPS)
        self.query, self.key, self.value, self.output = (nn.Linear(E, E) for _ in range(4))
        self.feed_forward_norm = LayerNorm(E, TOWER_NORM_EPS)
        self.up = nn.Linear(E, tower.ffn_dim)
        self.down = nn.Linear(tower.ffn_dim, E)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights again. The block is the identity at first."""
        self.attention_norm.reset_parameters()
        self.feed_forward_norm.reset_parameters()
        for layer in (self.query, self.key, self.value, self.output, self.up, self.down):
            draw_linear(layer, generator, is_silent=layer in (self.output, self.down))

    def forward(self, x: Float[Tensor, "I N E"]) -> Float[Tensor, "I N E"]:
        """Add what each sublayer finds to the stream."""
        y = self.attention_norm(x)
        heads = (split_heads(layer(y), self.num_heads) for layer in (self.query, self.key, self.value))
        x = x + self.output(merge_heads(scaled_dot_product_attention(*heads)))
        return x + self.down(F.gelu(self.up(self.feed_forward_norm(x)), approximate="tanh"))


class VisionTower(nn.Module):
    """The patches of images as fewer vectors of the stream, each of which has seen its whole image."""

    def __init__(self, config: ModelConfig, media: MediaConfig, tower: TowerConfig) -> None:
        super().__init__()
        self.num_rows, self.pool_patches = media.max_rows, tower.pool_patches
        self.patch = nn.Linear(COLORS * media.patch_pixels**2, tower.embed_dim)
        self.place = nn.Embedding(media.max_rows**2, tower.embed_dim)
        self.blocks = nn.ModuleList(VisionBlock(tower) for _ in range(tower.num_layers))
        self.norm = LayerNorm(tower.embed_dim, TOWER_NORM_EPS)
        self.output_norm = OffsetRMSNorm(tower.embed_dim, TOWER_NORM_EPS)
        self.output = nn.Linear(tower.embed_dim, config.embed_dim, bias=False)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights again."""
        draw_linear(self.patch, generator)
        draw(self.place.weight, EMBEDDING_STD, generator)
        for block in cast("Iterable[VisionBlock]", self.blocks):
            block.reset_parameters(generator)
        self.norm.reset_parameters()
        self.output_norm.reset_parameters()
        draw_linear(self.output, generator)

    def forward(self, patches: Float[Tensor, "N P"], places: Int[Tensor, "N 2"]) -> Float[Tensor, "M D"]:
        """Encode whole images, each of ``max_rows`` rows and columns of patches, one after the other."""
        x = self.encode(patches, places)
        squares = rearrange(
            x, "i (r a c b) e -> (i r c) (a b) e", r=self.num_rows // self.pool_patches, a=self.pool_patches,
            b=self.pool_patches,
        )  # fmt: skip
        return self.output(self.output_norm(squares.mean(dim=1)))

    def encode(self, patches: Float[Tensor, "N P"], places: Int[Tensor, "N 2"]) -> Float[Tensor, "I L E"]:
        """What the tower makes of each image, before anything is pooled."""
        x = self.patch(patches) + self.place(places[:, 0] * self.num_rows + places[:, 1])
        x = x.unflatten(0, (-1, self.num_rows**2))
        for block in self.blocks:
            x = block(x)
        return self.norm(x)
