"""Name the emoji and the icon: emoji drawn in up to three styles, in colour, and line icons.

Only names of one word: a small model has not the time to learn the 1,200 others.

Held out is not the name but a style for it: the koala of one style is asked about, and koalas of the other styles are
in the training data. So are the names of the held-out icons, as emoji.
"""

import functools
from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from gemini_workshop.data.media.documents import ImagePart, Part, TextPart
from gemini_workshop.data.media.images import load_images
from gemini_workshop.data.tasks.augmentation import Augmentation, augment
from gemini_workshop.data.tasks.drawn import Draw, DrawnTask
from gemini_workshop.data.tasks.example import Split
from gemini_workshop.data.tasks.images import from_bytes, to_bytes
from gemini_workshop.data.tasks.splits import heldout_style, is_icon_held_out

PIXELS = 32
STYLES = ("emoji", "twemoji", "openmoji")
ICONS = "lucide"
EMOJI = Augmentation(degrees=10.0, shift=0.1, scale=0.2, pale=1.0, lines=0.15)
ICON = Augmentation(degrees=8.0, shift=0.06, scale=0.1)
AUGMENTATIONS = {"emoji-names": EMOJI, "icon-names": ICON}
WHICH_EMOJI = ("Which emoji is this?", "What does the emoji show?", "Name this emoji.", "What is this emoji called?")
WHICH_ICON = ("Which icon is this?", "What does the icon show?", "Name this icon.", "What is this icon called?")

Drawing = tuple[str, UInt8[Tensor, "channels height width"]]


class DrawingNames(DrawnTask):
    """Drawings; the answer is the name.

    Emoji are also shown without their colours and in lines: in another style colours differ, and an icon has none.
    """

    def __init__(
        self, name: str, about: str, corpora: Sequence[str], phrases: Sequence[str], names_of: Sequence[str] = ()
    ) -> None:
        super().__init__(name, about, corpora, beside=names_of)
        self.phrases = phrases

    def __len__(self) -> int:
        """Every held-out drawing is asked about once."""
        return len(DRAWINGS_OF[self.name]("heldout"))

    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """Any drawing in training; each once in the held-out split."""
        drawings = DRAWINGS_OF[self.name](draw.split)
        name, pixels = draw.random.choice(drawings) if draw.is_training else drawings[draw.index]
        image = from_bytes(pixels)
        if draw.is_training:
            image = augment(image, AUGMENTATIONS[self.name], draw.random)
        return (ImagePart(image=image), TextPart(text=draw.phrase(self.phrases))), name


@functools.cache
def emoji(split: Split) -> list[Drawing]:
    """Name and picture of every emoji that is drawn in at least two styles."""
    styles = {style: _loaded(style) for style in STYLES}
    found = []
    for name in dict.fromkeys(name for drawings in styles.values() for name in drawings):
        present = [style for style in STYLES if name in styles[style]]
        heldout = heldout_style(name, present)
        if len(present) > 1:
            found += [(name, styles[style][name]) for style in present if (style == heldout) == (split == "heldout")]
    return found


@functools.cache
def icons(split: Split) -> list[Drawing]:
    """Name and picture of every icon."""
    known = {name for name, _ in emoji("train")}
    held = [(name in known and is_icon_held_out(name), (name, image)) for name, image in _loaded(ICONS).items()]
    return [drawing for is_held_out, drawing in held if is_held_out == (split == "heldout")]


DRAWINGS_OF = {"emoji-names": emoji, "icon-names": icons}


@functools.cache
def _loaded(corpus: str) -> dict[str, UInt8[Tensor, "channels height width"]]:
    loaded = load_images(corpus)
    small = to_bytes(F.interpolate(loaded.images, size=(PIXELS, PIXELS), mode="area"))
    return {name.lower(): image for name, image in zip(loaded.captions, small, strict=True) if " " not in name}
