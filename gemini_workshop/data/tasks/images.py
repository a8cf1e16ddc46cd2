"""The images that tasks show, loaded once, with their digit or kind: digits, MNIST and Fashion-MNIST.

Images are kept as bytes, a quarter of the memory of numbers; each becomes numbers when it is drawn.
"""

import functools
from collections import defaultdict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gemini_workshop.data.media.documents import ImagePart
from gemini_workshop.data.media.images import load_images
from gemini_workshop.data.tasks.augmentation import Augmentation, augment
from gemini_workshop.data.tasks.drawn import Draw, is_here
from gemini_workshop.data.tasks.example import Split
from gemini_workshop.data.tasks.splits import FIRST_HELDOUT_DIGIT

DIGIT_PIXELS = 16
SIZES = {"train": "all", "heldout": "small"}
HANDWRITING = Augmentation(degrees=12.0, shift=0.08, scale=0.12, fade=0.3)
ENLARGED = Augmentation(degrees=10.0, shift=0.06, scale=0.1, fade=0.2)
TINY = Augmentation(degrees=8.0, scale=0.08, fade=0.2)
CLOTHES = Augmentation(degrees=5.0, shift=0.06, scale=0.08, fade=0.2, can_flip=True)
AUGMENTATIONS = {"mnist": HANDWRITING, "fashion-mnist": CLOTHES}


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """The images of one split of a corpus.

    Args:
        labels: the kind of each; for digits, the digit.
        how: how they may be changed in training.
    """

    images: UInt8[Tensor, "I channels height width"]
    labels: list[int]
    how: Augmentation

    @functools.cached_property
    def places(self) -> dict[int, list[int]]:
        """Where the images of each kind are."""
        places: dict[int, list[int]] = defaultdict(list)
        for i, label in enumerate(self.labels):
            places[label].append(i)
        return places

    def shown(self, i: int, draw: Draw) -> Float[Tensor, "channels height width"]:
        """Image i as it is; in training, a version of it."""
        image = from_bytes(self.images[i])
        return augment(image, self.how, draw.random) if draw.is_training else image

    def some(self, label: int, draw: Draw) -> ImagePart:
        """Any image of a kind."""
        return ImagePart(image=self.shown(draw.random.choice(self.places[label]), draw))


def digit_corpus() -> str:
    """The best images of digits on this machine: MNIST, else those that scikit-learn brings."""
    return "mnist" if is_here("mnist") else "digits"


@functools.cache
def images_of(corpus: str, split: Split) -> Images:
    """A split of a corpus: of its two sizes, or, of ``digits``, its beginning and its end, enlarged."""
    if corpus == "digits":
        return _enlarged(small_digits(split))
    loaded = load_images(corpus, SIZES[split])
    return Images(images=to_bytes(loaded.images), labels=loaded.labels.tolist(), how=AUGMENTATIONS[corpus])


@functools.cache
def small_digits(split: Split) -> Images:
    """A split of ``digits``, 8 x 8 pixels as they are."""
    loaded = load_images("digits")
    part = slice(None, FIRST_HELDOUT_DIGIT) if split == "train" else slice(FIRST_HELDOUT_DIGIT, None)
    return Images(images=to_bytes(loaded.images[part]), labels=loaded.labels[part].tolist(), how=TINY)


def _enlarged(digits: Images) -> Images:
    images = F.interpolate(from_bytes(digits.images), size=(DIGIT_PIXELS, DIGIT_PIXELS), mode="bilinear")
    return Images(images=to_bytes(images), labels=digits.labels, how=ENLARGED)


def to_bytes(images: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Numbers from 0 to 1 as 256 shades."""
    return (images * 255).round().to(torch.uint8)


def from_bytes(images: UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """256 shades as numbers from 0 to 1."""
    return images.float() / 255
