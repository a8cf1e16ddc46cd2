"""From a document of text, images, audio and video to token ids with places for media, and what stands there.

    text     its tokens
    image    <|image_start|> <|image|> ... <|image_end|>       a place for each patch
    audio    <|audio_start|> <|audio|> ... <|audio_end|>       a place for each 40 ms
    video    before each frame, its time as text; the frame is an image

A question ends with <|turn_end|>, and its answer with the end of text.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.config import MediaConfig
from gemini_workshop.data.media.documents import AudioPart, ImagePart, Part, TextPart, VideoPart
from gemini_workshop.data.media.preparation import prepare_audio, prepare_image
from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.errors import DataError
from gemini_workshop.models.multimodal.stream import Media

TURN_END = "<|turn_end|>"
IMAGE_START, IMAGE, IMAGE_END = "<|image_start|>", "<|image|>", "<|image_end|>"
AUDIO_START, AUDIO, AUDIO_END = "<|audio_start|>", "<|audio|>", "<|audio_end|>"
MARKS = (TURN_END, IMAGE_START, IMAGE, IMAGE_END, AUDIO_START, AUDIO, AUDIO_END)


class Encoded(NamedTuple):
    """Token ids, and the media that stand in their places, in reading order."""

    ids: list[int]
    media: Media

    @classmethod
    def joined(cls, pieces: Sequence["Encoded"]) -> "Encoded":
        """Several one after the other."""
        media = Media(*(torch.cat(tensors, dim=1) for tensors in zip(*(piece.media for piece in pieces), strict=True)))
        return cls([token for piece in pieces for token in piece.ids], media)


class MediaEncoder:
    """A tokenizer that also reads images, audio and video.

    Raises:
        DataError: the tokenizer lacks a mark, or its ids are not those of the model.
    """

    def __init__(self, tokenizer: Tokenizer, media: MediaConfig) -> None:
        missing = [mark for mark in MARKS if mark not in tokenizer.special_tokens]
        if missing:
            raise DataError(
                f"The tokenizer has no {', '.join(missing)}. Learn one with special_tokens=MARKS of "
                "gemini_workshop.data.media.encoding."
            )
        self.tokenizer, self.media, self.ids = tokenizer, media, dict(tokenizer.special_tokens)
        if (self.ids[IMAGE], self.ids[AUDIO]) != (media.image_token_id, media.audio_token_id):
            raise DataError(
                f"The tokenizer's {IMAGE} and {AUDIO} are {self.ids[IMAGE]} and {self.ids[AUDIO]}, but the model's "
                f"image_token_id and audio_token_id are {media.image_token_id} and {media.audio_token_id}. "
                "Use the tokenizer that the model was trained with."
            )

    def encode(self, parts: Iterable[Part]) -> Encoded:
        """The parts of a document one after the other.

        Raises:
            DataError: an image or audio cannot be read; the message says why.
        """
        return Encoded.joined([self._text([]), *(self._part(part) for part in parts)])

    def question(self, parts: Iterable[Part]) -> Encoded:
        """A prompt after which the model answers: from the end of the text before it to the end of the turn."""
        before, after = self._text([self.tokenizer.end_of_text_id]), self._text([self.ids[TURN_END]])
        return Encoded.joined([before, self.encode(parts), after])

    def _part(self, part: Part) -> Encoded:
        match part:
            case TextPart(text=text):
                return self._text(self.tokenizer.encode(text))
            case ImagePart(image=image):
                return self._image(image)
            case AudioPart(samples=samples, sample_rate=rate):
                frames = prepare_audio(samples, rate, self.media)
                ids = [self.ids[AUDIO_START], *[self.ids[AUDIO]] * len(frames), self.ids[AUDIO_END]]
                return Encoded(ids, self.nothing._replace(frames=frames[None]))
            case VideoPart(frames=frames, frames_per_second=rate):
                return self._video(frames, rate)

    def _image(self, image: Float[Tensor, "channels height width"]) -> Encoded:
        patches, places = prepare_image(image, self.media)
        tower = self.media.tower
        num_places = len(patches) // (1 if tower is None else tower.pool_patches**2)
        ids = [self.ids[IMAGE_START], *[self.ids[IMAGE]] * num_places, self.ids[IMAGE_END]]
        return Encoded(ids, self.nothing._replace(patches=patches[None], places=places[None]))

    def _video(self, frames: Float[Tensor, "frames channels height width"], rate: float) -> Encoded:
        pieces = [self._text([])]
        for number, frame in enumerate(frames):
            pieces += [self._text(self.tokenizer.encode(f"{number / rate:g}s")), self._image(frame)]
        return Encoded.joined(pieces)

    def _text(self, ids: list[int]) -> Encoded:
        return Encoded(ids, self.nothing)

    @property
    def nothing(self) -> Media:
        """The media of a text without any."""
        places: Int[Tensor, "1 0 2"] = torch.zeros(1, 0, 2, dtype=torch.long)
        return Media(torch.zeros(1, 0, 3 * self.media.patch_pixels**2), places, torch.zeros(1, 0, self.media.frame_dim))
