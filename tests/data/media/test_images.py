import gzip
import io
import os
import struct
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from gemini_workshop.data.corpora import MIRROR_VARIABLE, corpus_names, find_corpus
from gemini_workshop.data.media.images import IMAGE_READERS, decode_image, encode_png, load_images, read_idx
from gemini_workshop.errors import DataError

PIXELS = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
IDX = struct.pack(">4B3I", 0, 0, 8, 3, 2, 3, 4) + PIXELS.tobytes()
MIRROR = os.environ.get(MIRROR_VARIABLE)
needs_mirror = pytest.mark.skipif(not MIRROR, reason=f"{MIRROR_VARIABLE} is not set")


@pytest.mark.parametrize("name", ["some-idx3-ubyte", "some-idx3-ubyte.gz"])
def test_an_idx_file_is_read_axis_by_axis(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(IDX) if name.endswith(".gz") else IDX)
    np.testing.assert_array_equal(read_idx(tmp_path / name), PIXELS)


def test_an_idx_file_that_is_cut_off_is_an_error(tmp_path):
    (tmp_path / "short").write_bytes(IDX[:-5])
    with pytest.raises(DataError, match=r"short has 19 bytes after its header, which states 2 x 3 x 4 = 24\."):
        read_idx(tmp_path / "short")


@pytest.mark.parametrize("content", [b"", b"\x00\x00", b"\x89PNG....", b"\x00\x00\x0d\x01" + bytes(8)])
def test_another_file_is_not_taken_for_an_idx_file(tmp_path, content):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(DataError, match=r"other begins with .*not with 00 00 08"):
        read_idx(tmp_path / "other")


def test_the_digits_need_nothing_and_are_whole():
    digits = load_images("digits")
    assert digits.images.shape == (1797, 1, 8, 8)
    assert digits.images.dtype == torch.float32
    assert (digits.images.min(), digits.images.max()) == (0, 1)
    assert sorted(set(digits.captions)) == [f"the digit {digit}" for digit in range(10)]
    image, caption = digits[5]
    assert torch.equal(image, digits.images[5])
    assert caption == f"the digit {int(digits.labels[5])}"


def test_a_digit_looks_like_its_caption():
    digits = load_images("digits")
    means = torch.stack([digits.images[digits.labels == digit].mean(dim=0) for digit in range(10)])
    distances = (digits.images[:, None] - means).square().sum(dim=(2, 3, 4))
    assert (distances.argmin(dim=1) == digits.labels).float().mean() > 0.85


def test_small_is_the_beginning_of_all():
    small, everything = load_images("digits", "small"), load_images("digits")
    assert len(small) == 200
    assert torch.equal(small.images, everything.images[:200])
    assert small.captions == everything.captions[:200]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_survives_being_written(channels):
    image = torch.randint(0, 256, (channels, 4, 5), generator=torch.Generator().manual_seed(0)) / 255
    assert torch.equal(decode_image(encode_png(image)), image)


def test_writing_rounds_to_the_nearest_shade():
    image = torch.rand((3, 4, 5), generator=torch.Generator().manual_seed(0))
    assert (decode_image(encode_png(image)) - image).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode):
    picture = Image.new("RGBA", (5, 4), (255, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 2, 4))
    file = io.BytesIO()
    if mode == "P":
        flat = Image.new("P", (5, 4), 1)
        flat.putpalette([0, 0, 0, 255, 0, 0])
        flat.paste(0, (0, 0, 2, 4))
        flat.save(file, format="PNG", transparency=1)
    else:
        picture.convert(mode).save(file, format="PNG")
    image = decode_image(file.getvalue(), num_channels=3)
    assert image.shape == (3, 4, 5)
    assert (image[:, :, :2] == 0).all()
    assert (image[:, :, 2:] == 1).all()


def test_colours_may_be_read_as_grey():
    image = torch.zeros(3, 4, 5)
    image[1] = 1
    assert decode_image(encode_png(image), num_channels=1).mean() == pytest.approx(0.587, abs=0.01)


def test_what_is_no_picture_is_an_error():
    with pytest.raises(DataError, match=r"The content is not an image that can be read: it begins with b'not a ph'"):
        decode_image(b"not a photo")
    with pytest.raises(DataError, match="The content is a damaged image"):
        decode_image(encode_png(torch.rand(3, 40, 50))[:-200])


def test_what_cannot_be_a_picture_is_not_written():
    with pytest.raises(DataError, match=r"go from -1 to 1\. They must lie in \[0, 1\]"):
        encode_png(torch.tensor([[[-1.0, 1.0]]]))
    with pytest.raises(DataError, match="An image of 2 channels"):
        encode_png(torch.zeros(2, 4, 5))


def test_a_corpus_of_texts_holds_no_pictures():
    with pytest.raises(DataError, match="stories holds text, not images"):
        load_images("stories")


@needs_mirror
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("mnist", 60_000),
        ("fashion-mnist", 20_000),
        ("emoji", 1600),
        ("twemoji", 1571),
        ("openmoji", 1915),
        ("lucide", 1729),
    ],
)
def test_the_mirror_holds_as_many_pictures_as_described(name, number):
    assert len(load_images(name)) == number
    assert f"{number:,}" in find_corpus(name).about


@needs_mirror
@pytest.mark.parametrize(
    ("name", "number", "shape", "caption"),
    [
        ("mnist", 5000, (1, 28, 28), "the digit 7"),
        ("fashion-mnist", 5000, (1, 28, 28), "an ankle boot"),
        ("emoji", 200, (3, 64, 64), "hash key"),
    ],
)
def test_pictures_of_the_mirror(name, number, shape, caption):
    pictures = load_images(name, "small")
    assert pictures.images.shape == (number, *shape)
    assert pictures[0][1] == caption
    assert 0 <= pictures.images.min() < pictures.images.max() <= 1
    assert len(pictures.captions) == number


def test_a_table_of_two_zips_says_which_one_an_image_is_in(tmp_path):
    for name, shade in ("a.zip", 0.0), ("b.zip", 1.0):
        with zipfile.ZipFile(tmp_path / name, "w") as files:
            files.writestr("x.png", encode_png(torch.full((1, 2, 3), shade)))
    (tmp_path / "captions.tsv").write_text("file\timage\tcaption\na.zip\tx.png\tnight\nb.zip\tx.png\tsnow\n", "utf-8")
    pictures = IMAGE_READERS["captioned-zip"]([tmp_path / "b.zip", tmp_path / "captions.tsv"])
    assert pictures.captions == ["snow"]
    assert torch.equal(pictures.images, torch.ones(1, 3, 2, 3))


def test_pictures_and_labels_must_be_as_many(tmp_path):
    paths = [tmp_path / "pictures", tmp_path / "labels"]
    paths[0].write_bytes(IDX)
    paths[1].write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 3) + bytes(3))
    with pytest.raises(DataError, match="pictures holds 2 images and labels 3 labels"):
        IMAGE_READERS["idx-digits"](paths)


def test_every_corpus_of_pictures_has_a_reader():
    assert {find_corpus(name).reader for name in corpus_names("images")} == set(IMAGE_READERS)
