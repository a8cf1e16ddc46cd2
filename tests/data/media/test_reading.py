"""Files as people have them: each is made here, and is read rightly or refused with one clear error."""

import contextlib
import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from gemini_workshop.data.media.documents import (
    AudioPart,
    ImagePart,
    MultimodalDocument,
    TextPart,
    VideoPart,
    write_multimodal_documents,
)
from gemini_workshop.data.media.images import encode_png
from gemini_workshop.data.media.reading import read_audio, read_document, read_image, read_part, read_video
from gemini_workshop.data.media.wav import encode_wav
from gemini_workshop.errors import DataError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
READERS = [read_image, read_audio, read_video, read_part, read_document]
TONE = torch.sin(torch.arange(4800) / 7) / 2


def saved(path, image, **options):
    image.save(path, **options)
    return path


def written(path, content):
    path.write_bytes(content)
    return path


def png(width, height, bits, kind, rows, *chunks):
    """A PNG by hand: Pillow does not write all of them."""
    header = struct.pack(">2I5B", width, height, bits, kind, 0, 0, 0)
    data = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in data]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def wav(numbers, tag, bits, rate=8000, channels=1, extra=b""):
    """A wav file by hand, from the bytes of its samples."""
    size = bits // 8 * channels
    form = struct.pack("<2H2I2H", tag, channels, rate, rate * size, size, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(numbers)) + numbers
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def refused(read, path, message):
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "object at 0x" not in str(caught.value)
    assert "\n" not in str(caught.value)


# Any file


@pytest.mark.parametrize("read", READERS)
def test_a_missing_file_is_refused(read, tmp_path):
    refused(read, tmp_path / "nowhere.png", "nowhere.png (cannot be read: No such file|.*is not there)|nowhere.png/doc")


@pytest.mark.parametrize("read", READERS[:4])
def test_an_empty_file_is_refused(read, tmp_path):
    refused(read, written(tmp_path / "a.wav", b""), r"a\.wav is empty: it has 0 bytes\. Copy it again")


@pytest.mark.parametrize("read", READERS[:2])
def test_a_folder_is_no_image_and_no_audio(read, tmp_path):
    refused(read, tmp_path, "is a folder, not a file")


@pytest.mark.parametrize("read", READERS[:4])
def test_a_device_is_not_read_without_end(read):
    refused(read, "/dev/zero", "/dev/zero is a device, not a file")


@pytest.mark.parametrize("read", READERS[:4])
def test_a_file_of_very_many_bytes_is_refused_before_it_is_read(read, tmp_path):
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(2**40)
    refused(read, tmp_path / "a.png", "has 1,099,511,627,776 bytes. Files of up to 134,217,728 are read")


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="Windows has other permissions")
@pytest.mark.parametrize("read", READERS)
def test_a_file_that_may_not_be_read_is_refused(read, tmp_path):
    path = saved(tmp_path / "documents.jsonl", Image.new("L", (2, 2)), format="PNG")
    path.chmod(0)
    before = os.geteuid()
    try:
        if before == 0:
            os.seteuid(65_534)  # nobody: root may read all
        refused(read, path, "cannot be read: Permission denied. Give the path of a file that is there and that you may")
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("read", READERS[:4])
def test_a_path_that_no_file_can_have_is_refused(read):
    refused(read, "a\0b.png", "cannot be read: embedded null byte")


# Images


@pytest.mark.parametrize(("mode", "colour", "expected"), [
    ("L", 51, [0.2]),
    ("RGB", (255, 51, 0), [1, 0.2, 0]),
    ("RGBA", (255, 0, 0, 51), [1, 0.8, 0.8]),
    ("LA", (0, 51), [0.8]),
    ("1", 1, [1]),
    ("P", 0, [0, 0, 0]),
    ("I;16", 13_107, [0.2]),
])  # fmt: skip
@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
def test_every_kind_of_png_has_the_numbers_that_one_sees(mode, colour, expected, size, tmp_path):
    image = read_image(saved(tmp_path / "a.png", Image.new(mode, size, colour))).image
    assert image.shape == (len(expected), *size[::-1])
    assert image.dtype == torch.float32
    torch.testing.assert_close(image[:, 0, 0], torch.tensor(expected, dtype=torch.float32), atol=0.003, rtol=0)
    assert (image == image[:, :1, :1]).all()


@pytest.mark.parametrize(("kind", "name"), [("I;16", "a.png"), ("I;16", "a.tiff"), ("I", "a.tiff"), ("I", "a.pgm")])
def test_sixteen_bits_are_scaled_not_clipped(kind, name, tmp_path):
    numbers = np.array([[0, 255, 256], [13_107, 40_000, 65_535]], dtype=np.uint16 if kind == "I;16" else np.int32)
    found = read_image(saved(tmp_path / name, Image.fromarray(numbers))).image
    torch.testing.assert_close(found, torch.from_numpy(numbers[None] / 65_535).float())


def test_sixteen_bits_of_colours_and_of_grey_with_a_transparent_shade(tmp_path):
    row = struct.pack(">6H", 65_535, 13_107, 0, 0, 0, 65_535)
    found = read_image(written(tmp_path / "a.png", png(2, 1, 16, 2, [row]))).image
    torch.testing.assert_close(found[:, 0], torch.tensor([[1, 0], [0.2, 0], [0, 1.0]]), atol=1e-6, rtol=0)
    grey = png(3, 1, 16, 0, [struct.pack(">3H", 0, 300, 13_107)], (b"tRNS", struct.pack(">H", 300)))
    found = read_image(written(tmp_path / "b.png", grey)).image
    torch.testing.assert_close(found, torch.tensor([[[0, 1, 0.2]]]))


def test_floats_are_read_where_they_are_shades(tmp_path):
    shades = np.array([[0, 0.25, 1]], dtype=np.float32)
    assert read_image(saved(tmp_path / "a.tiff", Image.fromarray(shades))).image.tolist() == [[[0, 0.25, 1]]]
    refused(read_image, saved(tmp_path / "b.tiff", Image.fromarray(shades * 300)), "go from 0 to 300, where 0 is black")
    many = Image.fromarray(np.array([[0, 70_000]], dtype=np.int32))
    refused(read_image, saved(tmp_path / "c.tiff", many), "go from 0 to 70000, .* 65535 white. Save it as PNG")


def test_a_palette_with_a_transparent_colour_shows_white_there(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putpixel((1, 0), 1)
    found = read_image(saved(tmp_path / "a.png", image, transparency=1)).image
    assert found[:, 0].T.tolist() == [[1, 0, 0], [1, 1, 1]]
    found = read_image(saved(tmp_path / "b.png", image, transparency=bytes([255, 51]))).image  # a fifth of green
    torch.testing.assert_close(found[:, 0, 1], torch.tensor([0.8, 1, 0.8]), atol=0.003, rtol=0)


def test_printers_colours_become_those_of_screens(tmp_path):
    photo = read_image(saved(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))).image
    torch.testing.assert_close(photo[:, 4, 4], torch.tensor([1.0, 0, 0]), atol=0.03, rtol=0)


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (2, (0, 1)), (3, (1, 1)), (4, (1, 0)),
                                                     (5, (0, 0)), (6, (0, 1)), (7, (1, 1)), (8, (1, 0))])  # fmt: skip
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_photo_is_turned_the_way_its_camera_was_held(suffix, orientation, corner, tmp_path):
    image = Image.new("RGB", (48, 32), "black")
    image.paste("white", (0, 0, 24, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_image(saved(tmp_path / f"a.{suffix}", image, exif=exif)).image
    assert found.shape == ((3, 32, 48) if orientation < 5 else (3, 48, 32))
    rows, columns = found.shape[1] // 2, found.shape[2] // 2
    quarters = found.mean(dim=0).unfold(0, rows, rows).unfold(1, columns, columns).mean(dim=(2, 3))
    assert divmod(int(quarters.argmax()), 2) == corner


def test_a_damaged_note_of_the_camera_does_not_hide_the_photo(tmp_path):
    found = read_image(saved(tmp_path / "a.jpg", Image.new("L", (8, 8), 255), exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x09"))
    assert found.image.shape == (1, 8, 8)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_the_image(suffix, tmp_path):
    found = read_image(film(tmp_path / f"a.{suffix}", [RED, GREEN, BLUE])).image
    torch.testing.assert_close(found[:, 2, 2], torch.tensor([1.0, 0, 0]), atol=0.02, rtol=0)


def test_the_content_says_what_a_file_is(tmp_path):
    found = read_image(written(tmp_path / "a.jpg", encode_png(torch.rand(3, 2, 5)))).image
    assert found.shape == (3, 2, 5)
    refused(read_image, written(tmp_path / "a.png", b"some text"), r"a\.png is not an image .*b'some tex'.*PNG or JPEG")
    refused(
        read_image, written(tmp_path / "b.png", encode_wav(TONE, 8000)), "b.png is not an image .* begins with b'RIFF"
    )


def test_what_runs_programs_is_not_opened(tmp_path):
    page = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    refused(read_image, written(tmp_path / "a.eps", page), "is not an image that can be read: it begins with b'%!PS")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "bmp", "tiff"])
def test_an_image_that_is_cut_off_is_refused_wherever_it_ends(suffix, tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    whole = saved(tmp_path / f"whole.{suffix}", noise).read_bytes()
    for end in range(1, len(whole) - 20, len(whole) // 40):
        path = written(tmp_path / f"a.{suffix}", whole[:end])
        for read in (read_image, read_video, read_part):
            refused(read, path, "is a damaged image: .*Copy or download it again|is not an image that can be read")


@pytest.mark.parametrize("read", [read_image, read_video, read_part])
@pytest.mark.parametrize("side", [20_000, 10_000])
def test_a_small_file_of_very_many_pixels_is_refused_before_they_are_decoded(read, side, tmp_path):
    content = png(side, side, 1, 0, [b""])
    assert len(content) < 100
    refused(
        read, written(tmp_path / "a.png", content), r"a\.png: The image has (more than 178,956,970|10,000 x 10,000) p"
    )


def test_an_image_without_pixels_is_refused(tmp_path):
    refused(read_image, written(tmp_path / "a.png", png(0, 3, 8, 0, [b""])), "a.png")


def test_bytes_at_random_never_end_in_another_error(tmp_path):
    chances = np.random.default_rng(0)
    wholes = [film(tmp_path / f"whole.{s}", [RED, GREEN, BLUE]).read_bytes() for s in ("gif", "webp", "png")]
    wholes.append(encode_wav(TONE[:99], 8000))
    for number in range(400):
        content = bytearray(wholes[number % 4])
        for at in chances.integers(0, len(content), 4):
            content[at] = chances.integers(256)
        path = written(tmp_path / "a.gif", content)
        for read in READERS[:4]:
            with contextlib.suppress(DataError):
                read(path)


# Audio


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("rate", [8000, 48_000])
def test_wav_of_any_width_is_the_same_sound(dtype, rate, tmp_path):
    wave = TONE.double().numpy()
    whole = {"uint8": wave * 128 + 128, "int16": wave * 2**15, "int32": wave * 2**31}
    wavfile.write(tmp_path / "a.wav", rate, whole.get(dtype, wave).astype(dtype))
    found = read_audio(tmp_path / "a.wav")
    assert found.sample_rate == rate
    assert found.samples.dtype == torch.float32
    torch.testing.assert_close(found.samples, TONE, atol=1 / 128 if dtype == "uint8" else 1e-4, rtol=0)


def test_24_bits_and_headers_that_extend_are_read(tmp_path):
    numbers = b"".join(n.to_bytes(3, "little", signed=True) for n in (0, 2**22, -(2**23)))
    expected = [0, 0.5, -1]
    assert read_audio(written(tmp_path / "a.wav", wav(numbers, 1, 24))).samples.tolist() == expected
    for tag, bits, content in ((1, 24, numbers), (3, 32, np.array(expected, "<f4").tobytes())):
        guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
        path = written(tmp_path / "b.wav", wav(content, 0xFFFE, bits, extra=struct.pack("<2HI", 22, bits, 0) + guid))
        assert read_audio(path).samples.tolist() == expected


def test_two_channels_are_averaged_and_notes_are_skipped(tmp_path):
    numbers = np.array([[2**14, 0], [-(2**15), 2**14]], dtype="<i2")
    wavfile.write(tmp_path / "a.wav", 48_000, numbers)
    content = (tmp_path / "a.wav").read_bytes()
    noted = content[:4] + struct.pack("<I", len(content)) + content[8:] + b"id3 " + bytes(4)
    for path in (tmp_path / "a.wav", written(tmp_path / "b.wav", noted)):
        assert read_audio(path).samples.tolist() == [0.25, -0.25]


def test_floats_that_are_too_loud_keep_their_shape_and_no_numbers_are_refused(tmp_path):
    wavfile.write(tmp_path / "a.wav", 8000, np.array([0.5, -2, 1], dtype=np.float32))
    assert read_audio(tmp_path / "a.wav").samples.tolist() == [0.25, -1, 0.5]
    wavfile.write(tmp_path / "b.wav", 8000, np.array([0.5, np.nan], dtype=np.float32))
    refused(read_audio, tmp_path / "b.wav", "holds samples that are not finite numbers")


@pytest.mark.parametrize("read", [read_audio, read_part])
def test_a_recording_that_is_cut_off_is_refused_wherever_it_ends(read, tmp_path):
    whole = encode_wav(TONE, 8000)
    for end in (1, 4, 8, 11, 12, 30, 43, 44, 45, 46, 1000, len(whole) - 1):
        path = written(tmp_path / "a.wav", whole[:end])
        refused(read, path, r"is cut off: it has [\d,]+ of 9,644 bytes|is not a wav file that can be read")


def test_a_recording_whose_writer_did_not_know_its_length_is_read(tmp_path):
    whole = bytearray(encode_wav(TONE, 8000))
    whole[4:8] = whole[40:44] = b"\xff" * 4
    assert len(read_audio(written(tmp_path / "a.wav", whole)).samples) == 4800


@pytest.mark.parametrize(("content", "message"), [
    (encode_wav(torch.zeros(0), 8000), "has 0 samples at 8,000 a second. It needs at least one"),
    (encode_wav(TONE, 8000)[:36], "is cut off"),
    (wav(b"\0\0", 1, 16, rate=0), "at 0 a second"),
    (wav(b"\0", 1, 8, rate=4_000_000_000), "at 4,000,000,000 a second. .* a rate from 1,000 to 768,000"),
    (wav(b"\0\0", 7, 8), "Unknown wave file format: MULAW.*Convert it to 16-bit PCM"),
    (wav(b"\0\0", 1, 16, channels=0), "is not a wav file that can be read"),
    (b"ID3\x04 mp3", "is not a wav file that can be read: File format b'ID3.* not understood.* 16-bit PCM"),
    (encode_png(torch.zeros(1, 2, 2)), "is not a wav file that can be read: File format b'.x89PNG' not understood"),
])  # fmt: skip
def test_what_is_no_recording_is_refused(content, message, tmp_path):
    refused(read_audio, written(tmp_path / "a.wav", content), message)


# Videos


def film(path, colours, size=(5, 4), **options):
    frames = [Image.new("RGB", size, colour) for colour in colours]
    kind = {"lossless": True} if path.suffix == ".webp" else {}
    options = {"duration": 250} | options
    frames[0].save(path, save_all=True, append_images=frames[1:], **options, **kind)
    return path


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_is_its_frames_at_its_rate(suffix, tmp_path):
    for read in (read_video, read_part):
        found = read(film(tmp_path / f"a.{suffix}", [RED, GREEN, BLUE]))
        assert isinstance(found, VideoPart)
        assert found.frames.shape == (3, 3, 4, 5)
        assert found.frames_per_second == 4
        torch.testing.assert_close(found.frames[:, :, 1, 2], torch.eye(3), atol=0.02, rtol=0)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_of_many_frames_eight_are_taken_evenly_spread(suffix, tmp_path):
    found = read_video(film(tmp_path / f"a.{suffix}", [(10 * i, 0, 0) for i in range(20)], duration=100))
    assert len(found.frames) == 8
    assert (found.frames[:, 0, 0, 0] * 25.5).round().tolist() == [i * 20 // 8 for i in range(8)]
    assert found.frames_per_second == pytest.approx(8 / 2.0)


def test_a_frame_larger_than_the_first_is_refused(tmp_path):
    content = bytearray(film(tmp_path / "a.gif", [RED, GREEN]).read_bytes())
    second = content.index(b"\x2c", content.index(b"\x2c") + 1)  # its left, top, width and height follow
    content[second + 7 : second + 9] = struct.pack("<H", 60_000)
    refused(read_video, written(tmp_path / "a.gif", content), "Frame 2 has 5 x 60,000 pixels, and the first 5 x 4")


def test_frames_that_state_no_time_show_a_tenth_of_a_second(tmp_path):
    assert read_video(film(tmp_path / "a.gif", [RED, GREEN], duration=0)).frames_per_second == 10


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.jpg"])
def test_a_still_image_is_a_video_of_one_frame_and_as_a_part_an_image(name, tmp_path):
    path = saved(tmp_path / name, Image.new("L", (5, 4), 255))
    assert read_video(path).frames.shape == (1, 3, 4, 5)
    assert isinstance(read_part(path), ImagePart)


def test_a_folder_is_a_video_in_the_order_of_its_numbers(tmp_path):
    for number in (10, 9, 1):
        saved(tmp_path / f"frame{number}.png", Image.new("L", (5, 4), 20 * number))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_text("no image")
    for read in (read_video, read_part):
        found = read(tmp_path)
        assert (found.frames[:, 0, 0, 0] * 255 / 20).round().tolist() == [1, 9, 10]
        assert (found.frames.shape, found.frames_per_second) == ((3, 3, 4, 5), 4)


def test_of_a_folder_of_many_images_eight_are_taken(tmp_path):
    for number in range(16):
        saved(tmp_path / f"{number}.png", Image.new("L", (5, 4), number))
    found = read_video(tmp_path)
    assert (found.frames[:, 0, 0, 0] * 255).round().tolist() == list(range(0, 16, 2))
    assert found.frames_per_second == 2


def test_a_folder_that_is_no_video_is_refused(tmp_path):
    refused(read_video, tmp_path, "holds no images. A folder is read as a video: give it frames")
    saved(tmp_path / "1.png", Image.new("L", (5, 4)))
    saved(tmp_path / "2.png", Image.new("L", (4, 4)))
    refused(read_part, tmp_path, "have 4x4 and 5x4 pixels. A video needs frames of one size")
    written(tmp_path / "2.png", b"text")
    refused(read_video, tmp_path, r"2\.png is not an image that can be read: it begins with b'text'")


def test_frames_of_very_many_pixels_are_refused(tmp_path):
    path = written(tmp_path / "1.png", png(5000, 5000, 1, 0, [b""]))
    for read, where in ((read_video, path), (read_video, tmp_path)):
        refused(read, where, r"The image has 5,000 x 5,000 pixels. It needs from 1 to 4,000,000")


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.mp4", b"\0\0\0\x18ftypmp42", "is not an image .*ffmpeg -i FILE -vf fps=4 film.gif makes one"),
    ("a.mp3", b"ID3\x04 mp3", "is not a wav file that can be read"),
    ("a.txt", b"text", "is not an image .* audio is wav. A video is an animated GIF"),
])  # fmt: skip
def test_a_part_of_another_kind_is_refused_with_what_to_do(name, content, message, tmp_path):
    refused(read_part, written(tmp_path / name, content), message)


def test_a_part_may_be_audio(tmp_path):
    for name in ("a.wav", "a.png"):
        assert isinstance(read_part(written(tmp_path / name, encode_wav(TONE, 8000))), AudioPart)


# Documents


def test_a_document_is_read_from_its_file_or_its_folder(tmp_path):
    parts = (TextPart(text="look"), ImagePart(image=torch.rand(1, 4, 8)))
    path = write_multimodal_documents(tmp_path, [MultimodalDocument(id="1", parts=parts)])
    (tmp_path / "question.jsonl").write_bytes(path.read_bytes())
    for where in (path, tmp_path, tmp_path / "question.jsonl"):
        assert [type(part) for part in read_document(where).parts] == [TextPart, ImagePart]


def test_several_documents_none_and_bytes_are_refused(tmp_path):
    path = write_multimodal_documents(tmp_path, [MultimodalDocument(id=i, parts=()) for i in "12"])
    refused(read_document, path, "holds several documents. A prompt is one: keep one line")
    refused(read_document, written(path, b""), "holds no document")
    refused(read_document, written(path, b"\x89PNG\x80"), "line 1 is not JSON")
