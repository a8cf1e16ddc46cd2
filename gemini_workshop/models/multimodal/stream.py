"""One stream of vectors: the text holds places for media, and their vectors are put there in reading order.

    ids       Look : <image> # # # # </image> and listen : <audio> ~ ~ </audio>
    vectors   text ..........p p p p ......................text.....f f .......       # image place    ~ audio place

All that follows is the ordinary decoder. Nothing is predicted at such places.

Source: Gemma Team 2025, arXiv:2503.19786, section 2; Gemini Team 2023, arXiv:2312.11805, section 2.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gemini_workshop.config import MediaConfig, ModelConfig
from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.multimodal.embedders import FrameEmbedder, PatchEmbedder
from gemini_workshop.models.multimodal.tower import VisionTower


class Media(NamedTuple):
    """What stands in the places of a batch of texts, row by row and in reading order.

    A row with fewer patches or frames than another is filled up on the right; what fills it up is never read.
    """

    patches: Float[Tensor, "B N P"]
    places: Int[Tensor, "B N 2"]
    frames: Float[Tensor, "B M F"]

    def map(self, change: Callable[[Tensor], Tensor]) -> "Media":
        """All tensors changed alike: moved to a device, or cut to some of the rows."""
        return Media(*map(change, self))


def interleave(
    embeddings: Float[Tensor, "B T D"], vectors: Float[Tensor, "N D"], is_place: Bool[Tensor, "B T"]
) -> Float[Tensor, "B T D"]:
    """Put vectors into the places that are held for them, in reading order; the argument stays as it is.

    Raises:
        WorkshopError: there are not as many vectors as places.
    """
    num_places = int(is_place.sum())
    if num_places != len(vectors):
        raise WorkshopError(
            f"The text holds {num_places} places, but there are {len(vectors)} vectors to put there. "
            "Give each patch and each frame of the media one placeholder."
        )
    index = is_place.unsqueeze(-1).expand_as(embeddings)
    return embeddings.masked_scatter(index, vectors.to(embeddings.dtype))


def image_ids_of(is_patch: Bool[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """Number the images of each row from 1; 0 where there is none. Text or a mark parts two images.

    Example:
        >>> image_ids_of(torch.tensor([[False, True, True, False, True]])).tolist()
        [[0, 1, 1, 0, 2]]
    """
    begins = is_patch & ~torch.nn.functional.pad(is_patch, (1, 0))[:, :-1]
    return begins.cumsum(dim=1) * is_patch


class MediaEmbedder(nn.Module):
    """The media of a batch, put into its text."""

    def __init__(self, config: ModelConfig, media: MediaConfig) -> None:
        super().__init__()
        self.media = media
        self.image: PatchEmbedder | VisionTower
        self.image = PatchEmbedder(config, media) if media.tower is None else VisionTower(config, media, media.tower)
        self.audio = None if media.audio_token_id is None else FrameEmbedder(config, media)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights again."""
        self.image.reset_parameters(generator)
        if self.audio is not None:
            self.audio.reset_parameters(generator)

    def is_patch(self, token_ids: Int[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
        """Where the text holds a place for a part of an image."""
        return token_ids == self.media.image_token_id

    def forward(
        self, embeddings: Float[Tensor, "B T D"], token_ids: Int[Tensor, "B T"], media: Media
    ) -> Float[Tensor, "B T D"]:
        """Put the media into the places that the text holds for them.

        Raises:
            WorkshopError: a row does not hold as many places as it has patches or frames.
        """
        is_patch = self.is_patch(token_ids)
        if is_patch.any():
            patches_per_place = 1 if self.media.tower is None else self.media.tower.pool_patches**2
            used = _used(is_patch.sum(dim=1) * patches_per_place, media.patches, "patches")
            embeddings = interleave(embeddings, self.image(media.patches[used], media.places[used]), is_patch)
        audio_id = self.media.audio_token_id
        if self.audio is not None and audio_id is not None and (is_frame := token_ids == audio_id).any():
            used = _used(is_frame.sum(dim=1), media.frames, "frames")
            embeddings = interleave(embeddings, self.audio(media.frames[used]), is_frame)
        return embeddings


def _used(counts: Int[Tensor, " B"], vectors: Float[Tensor, "B N _"], name: str) -> Bool[Tensor, "B N"]:
    """Which of the vectors are read: in each row as many as it has places for."""
    available = vectors.shape[1]
    if int(counts.max()) > available:
        raise WorkshopError(
            f"A text holds places for {int(counts.max())} {name}, but only {available} are given. "
            "Give the media that the text was made for."
        )
    return torch.arange(available, device=counts.device) < counts[:, None]
