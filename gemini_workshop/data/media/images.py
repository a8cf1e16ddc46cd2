"""Images with captions: digits, clothes and emoji as numbers from 0 (black) to 1 (white).

An idx file, the format of MNIST:

    00 00 08 03   bytes (08) along 3 axes
    00 00 13 88   5,000 images   (each size a big-endian number of 4 bytes)
    00 00 00 1c   of 28 rows
    00 00 00 1c   of 28 pixels
    00 00 ...     the pixels, row by row

Source: http://yann.lecun.com/exdb/mnist/, "The IDX file format".
"""

import csv
import functools
import gzip
import io
import math
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from gemini_workshop.data.corpora import find_corpus, find_edition
from gemini_workshop.errors import DataError

DIGIT_CAPTIONS = [f"the digit {digit}" for digit in range(10)]
CLOTHES_CAPTIONS = [
    *("a T-shirt", "trousers", "a pullover", "a dress", "a coat"),
    *("a sandal", "a shirt", "a sneaker", "a bag", "an ankle boot"),
]
MOST_AXES = 32
IDX_BYTES_MARK = 8
IMAGE_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
MAX_PIXELS = 50_000_000
DARKEST_TO_LIGHTEST = {"I": 65_535.0, "F": 1.0}  # by the first letter of Pillow's mode: whole numbers, fractions


@dataclass(frozen=True, kw_only=True, eq=False)
class CaptionedImages:
    """Images of one size, the class of each, and a caption for each class."""

    images: Float[Tensor, "I channels height width"]
    labels: Int[Tensor, " I"]
    class_captions: Sequence[str]

    @property
    def captions(self) -> list[str]:
        """One caption per image."""
        return [self.class_captions[label] for label in self.labels.tolist()]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Float[Tensor, "channels height width"], str]:
        """An image and its caption."""
        return self.images[i], self.class_captions[int(self.labels[i])]


def load_images(name: str, size: str = "all") -> CaptionedImages:
    """The images of a corpus as float32, fetched if need be.

    Raises:
        DataError: there is no such corpus or size, it holds no images, it cannot be had here, or a file is damaged.
    """
    corpus = find_corpus(name, "images")
    edition, paths = find_edition(corpus, size)
    whole = IMAGE_READERS[corpus.reader](paths)
    chosen = slice(edition.num_items)
    return CaptionedImages(
        images=whole.images[chosen], labels=whole.labels[chosen], class_captions=whole.class_captions
    )


def read_idx(path: str | Path) -> UInt8[np.ndarray, "..."]:
    """The array that an idx file holds, packed (``.gz``) or not.

    Raises:
        DataError: it cannot be read, is not an idx file of bytes, or its length is not what its header states.
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}. It is damaged: fetch it again.") from None
    if len(content) < 4 or content[:3] != bytes([0, 0, IDX_BYTES_MARK]) or not 1 <= content[3] <= MOST_AXES:
        raise DataError(
            f"{path} begins with {content[:4].hex(' ')}, not with 00 00 08 and the number of axes, as "
            "an idx file of bytes does. Was another file saved under its name?"
        )
    num_axes = content[3]
    header_bytes = 4 + 4 * num_axes
    sizes = [int.from_bytes(content[i : i + 4], "big") for i in range(4, header_bytes, 4)]
    num_pixels = len(content) - header_bytes
    if num_pixels != math.prod(sizes):
        raise DataError(
            f"{path} has {num_pixels:,} bytes after its header, which states {' x '.join(map(str, sizes))} = "
            f"{math.prod(sizes):,}. It is damaged: fetch it again."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header_bytes).reshape(sizes)


def decode_image(
    content: bytes, num_channels: int | None = None, name: str = "The content"
) -> Float[Tensor, "channels height width"]:
    """The image in the bytes of a file, turned the way its camera was held; of an animation, the first frame.

    Where it is transparent, white shows.

    Args:
        num_channels: 1 for grey, 3 for red, green and blue; None for what the file has.
        name: of the file, for messages.

    Raises:
        DataError: the bytes are not a whole image, or it has too many pixels.
    """
    with opened_image(content, name) as file:
        return pixels_of(file, num_channels)


@contextmanager
def opened_image(
    content: bytes, name: str, max_pixels: int = MAX_PIXELS, instead: str = "Convert it to PNG or JPEG."
) -> Iterator[Image.Image]:
    """An image file whose pixels have not been decoded yet; whatever Pillow raises inside the block is a DataError.

    Args:
        instead: what to do with a file of another format.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as file:
            width, height = file.size
            if not 0 < width * height <= max_pixels:
                raise _wrong_size(f"{width:,} x {height:,} pixels", max_pixels)
            yield file
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    except UnidentifiedImageError:
        start = f"it begins with {content[:8]!r}" if content else "it is empty"
        raise DataError(f"{name} is not an image that can be read: {start}. {instead}") from None
    except Image.DecompressionBombError:
        too_many = f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels"
        raise DataError(f"{name}: {_wrong_size(too_many, max_pixels)}") from None
    except Exception as error:  # Pillow raises errors of many kinds for damaged files
        why = str(error).rstrip(".") or type(error).__name__
        raise DataError(f"{name} is a damaged image: {why}. Copy or download it again.") from None


def pixels_of(file: Image.Image, num_channels: int | None = None) -> Float[Tensor, "channels height width"]:
    """The pixels of an opened file, at its present frame; see :func:`decode_image`."""
    image = ImageOps.exif_transpose(file)
    if image.mode[0] in DARKEST_TO_LIGHTEST:
        return torch.from_numpy(_deep_shades(image)).expand(num_channels or 1, -1, -1).contiguous()
    is_grey = image.mode in ("1", "L", "LA", "La") if num_channels is None else num_channels == 1
    image = image.convert("RGBA")
    background = Image.new("RGBA", image.size, "white")
    flat = Image.alpha_composite(background, image).convert("L" if is_grey else "RGB")
    shades = torch.from_numpy(np.atleast_3d(np.array(flat)))
    return shades.movedim(2, 0).contiguous().float().div_(255)


def _deep_shades(image: Image.Image) -> Float[np.ndarray, "height width"]:
    """Grey of more than 8 bits, which Pillow would clip."""
    lightest = DARKEST_TO_LIGHTEST[image.mode[0]]
    numbers = np.array(image, dtype=np.float32)
    low, high = float(numbers.min()), float(numbers.max())
    if not 0 <= low <= high <= lightest:
        raise DataError(
            f"The numbers of the image go from {low:g} to {high:g}, where 0 is black and {lightest:g} white. "
            "Save it as PNG, with 8 or 16 bits."
        )
    if (transparent := image.info.get("transparency")) is not None:
        numbers[numbers == transparent] = lightest
    return numbers / lightest


def _wrong_size(size: str, max_pixels: int) -> DataError:
    return DataError(f"The image has {size}. It needs from 1 to {max_pixels:,}: make a smaller copy.")


def encode_png(image: Float[Tensor, "channels height width"]) -> bytes:
    """The bytes of a PNG file: each number rounded to the nearest of 256 shades.

    Raises:
        DataError: the image has neither 1 nor 3 channels, or numbers outside [0, 1].
    """
    if image.shape[0] not in (1, 3):
        raise DataError(f"An image of {image.shape[0]} channels cannot be written. Give 1 (grey) or 3 (colours).")
    low, high = float(image.min()), float(image.max())
    if not 0 <= low <= high <= 1:
        raise DataError(f"The image's numbers go from {low:g} to {high:g}. They must lie in [0, 1]: scale them first.")
    shades = (image.detach().cpu() * 255).round().to(torch.uint8).movedim(0, 2).numpy()
    file = io.BytesIO()
    Image.fromarray(shades.squeeze(2) if image.shape[0] == 1 else shades).save(file, format="PNG")
    return file.getvalue()


def _read_scikit_learn(paths: list[Path]) -> CaptionedImages:
    """The digits that scikit-learn brings, of 17 shades from black to white."""
    del paths
    from sklearn.datasets import load_digits  # half a second to import

    digits = load_digits()
    images = torch.from_numpy(digits.images.astype(np.float32) / 16)[:, None]
    return CaptionedImages(images=images, labels=torch.from_numpy(digits.target), class_captions=DIGIT_CAPTIONS)


def _read_idx_pair(class_captions: list[str], paths: list[Path]) -> CaptionedImages:
    """A file of images and a file of their labels."""
    pixels, labels = (read_idx(path) for path in paths)
    if len(pixels) != len(labels):
        raise DataError(
            f"{paths[0]} holds {len(pixels):,} images and {paths[1].name} {len(labels):,} labels. "
            "There must be as many: fetch both again."
        )
    images = torch.from_numpy(pixels.astype(np.float32) / 255)[:, None]
    numbers = torch.from_numpy(labels.astype(np.int64))
    return CaptionedImages(images=images, labels=numbers, class_captions=class_captions)


def _read_captioned_zip(paths: list[Path]) -> CaptionedImages:
    """A zip of images and a table of their captions; every image is a class of its own.

    A table of several zips says in the column ``file`` which of them an image is in.
    """
    archive, table = paths
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = [row for row in rows if row.get("file", archive.name) == archive.name]
    with zipfile.ZipFile(archive) as files:
        images = torch.stack([decode_image(files.read(row["image"]), num_channels=3) for row in rows])
    captions = [row["caption"] for row in rows]
    return CaptionedImages(images=images, labels=torch.arange(len(rows)), class_captions=captions)


IMAGE_READERS: dict[str, Callable[[list[Path]], CaptionedImages]] = {
    "scikit-learn": _read_scikit_learn,
    "idx-digits": functools.partial(_read_idx_pair, DIGIT_CAPTIONS),
    "idx-clothes": functools.partial(_read_idx_pair, CLOTHES_CAPTIONS),
    "captioned-zip": _read_captioned_zip,
}
