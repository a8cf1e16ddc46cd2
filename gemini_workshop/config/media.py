"""How images and audio enter the token stream."""

from dataclasses import dataclass
from typing import Literal

from gemini_workshop.config.section import Section, option


@dataclass(frozen=True, kw_only=True, slots=True)
class TowerConfig(Section):
    """An encoder of its own for images (SigLIP, as in Gemma 3): a transformer over patches that sees both ways."""

    num_layers: int = option("Blocks of the encoder.")
    embed_dim: int = option("Width of the encoder.")
    num_heads: int = option("Heads of the encoder.")
    ffn_dim: int = option("Hidden width of its feed-forward layers.")
    pool_patches: int = option("Side of the squares of patches that become one token.", default=2)

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive("num_layers", "embed_dim", "num_heads", "ffn_dim", "pool_patches")
        self._need(
            self.embed_dim % self.num_heads == 0,
            f"The tower's embed_dim={self.embed_dim} is not a multiple of num_heads={self.num_heads}.",
            "Each head takes an equal share of the channels.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaConfig(Section):
    """How images and audio become vectors of the stream. Without a tower, patches are projected straight into it."""

    image_token_id: int = option("The id that holds the place of an image's patch in the text.")
    audio_token_id: int | None = option(
        "The id that holds the place of a frame of audio in the text; null: no audio.", default=None
    )
    patch_pixels: int = option("Side of a patch, in pixels of three colors.", default=8)
    max_rows: int = option("Rows of patches of the largest image, and columns.", default=8)
    patch_dim: int = option("Width between the norms of the patch embedder; unused with a tower.", default=192)
    frame_dim: int = option("Numbers of one frame of audio.", default=160)
    image_attention: Literal["causal", "local", "all"] = option(
        "Layers in which the patches of an image see each other both ways: none, local ones (Gemma 4), all (Gemma 3).",
        default="local",
    )
    tower: TowerConfig | None = option("An encoder for images (Gemma 3); null: none (Gemma 4).", default=None)

    def __post_init__(self) -> None:
        self._check_types()
        self._need_positive("patch_pixels", "max_rows", "patch_dim", "frame_dim")
        self._need(
            self.image_token_id != self.audio_token_id,
            f"image_token_id and audio_token_id are both {self.image_token_id}.",
            "Give each its own id.",
        )
        self._need(
            self.tower is None or self.max_rows % self.tower.pool_patches == 0,
            f"max_rows={self.max_rows} is not a multiple of the tower's "
            f"pool_patches={self.tower.pool_patches if self.tower else 1}.",
            "Every token must be made of as many patches.",
        )
