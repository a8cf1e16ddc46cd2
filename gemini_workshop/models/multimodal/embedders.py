"""Media without encoders: a patch or a frame is projected straight into the embedding space, as a token is looked up.

    image    patch -> LayerNorm -> Linear -> LayerNorm -> + row + column -> LayerNorm -> unit RMS -> Linear
    audio    frame -> unit RMS -> Linear

Source: the modeling file of Gemma 4 Unified (12B) in transformers 5.24.0.
Differs: audio frames are log-mel bands instead of raw samples, if the caller gives those.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.config import MediaConfig, ModelConfig
from gemini_workshop.models.initialization import EMBEDDING_STD, draw, draw_linear
from gemini_workshop.models.normalization import LayerNorm, UnitRMS

COLORS = 3
PATCH_NORM_EPS = 1e-5  # of the embedder's LayerNorms, as PyTorch has it by default


class PatchEmbedder(nn.Module):
    """Image patches as vectors of the stream, each with its place in the image."""

    def __init__(self, config: ModelConfig, media: MediaConfig) -> None:
        super().__init__()
        pixels, E = COLORS * media.patch_pixels**2, media.patch_dim
        self.pixel_norm = LayerNorm(pixels, PATCH_NORM_EPS)
        self.patch = nn.Linear(pixels, E)
        self.patch_norm = LayerNorm(E, PATCH_NORM_EPS)
        self.row = nn.Embedding(media.max_rows, E)
        self.column = nn.Embedding(media.max_rows, E)
        self.place_norm = LayerNorm(E, PATCH_NORM_EPS)
        self.output_norm = UnitRMS(config.norm_eps)
        self.output = nn.Linear(E, config.embed_dim, bias=False)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights again."""
        for norm in (self.pixel_norm, self.patch_norm, self.place_norm):
            norm.reset_parameters()
        for layer in (self.patch, self.output):
            draw_linear(layer, generator)
        for table in (self.row, self.column):
            draw(table.weight, EMBEDDING_STD, generator)

    def forward(self, patches: Float[Tensor, "*N P"], places: Int[Tensor, "*N 2"]) -> Float[Tensor, "*N D"]:
        """Embed each patch by itself."""
        x = self.patch_norm(self.patch(self.pixel_norm(patches)))
        x = self.place_norm(x + self.row(places[..., 0]) + self.column(places[..., 1]))
        return self.output(self.output_norm(x))


class FrameEmbedder(nn.Module):
    """Frames of audio as vectors of the stream; where they are in the recording, the decoder's positions say."""

    def __init__(self, config: ModelConfig, media: MediaConfig) -> None:
        super().__init__()
        self.norm = UnitRMS(config.norm_eps)
        self.output = nn.Linear(media.frame_dim, config.embed_dim, bias=False)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights again."""
        draw_linear(self.output, generator)

    def forward(self, frames: Float[Tensor, "*N F"]) -> Float[Tensor, "*N D"]:
        """Embed each frame by itself."""
        return self.output(self.norm(frames))
