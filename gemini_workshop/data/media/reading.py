"""Images, audio and videos from files of one's own, as parts of a prompt.

    read_image      PNG, JPEG, GIF, WebP, BMP, TIFF or PPM; of an animation, the first frame
    read_audio      wav
    read_video      an animated GIF, WebP or PNG, or a folder of images in the order of their names
    read_part       whichever of these a file is
    read_document   the document in a file of documents

What a file is, its content says, not its name.
"""

import os
import re
import stat
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image

from gemini_workshop.data.media.documents import (
    AudioPart,
    ImagePart,
    MultimodalDocument,
    Part,
    VideoPart,
    read_multimodal_documents,
)
from gemini_workshop.data.media.images import decode_image, opened_image, pixels_of
from gemini_workshop.data.media.video import FRAMES_PER_SECOND
from gemini_workshop.data.media.wav import decode_wav
from gemini_workshop.errors import DataError

T = TypeVar("T")
MAX_FRAMES = 8
MAX_FRAME_PIXELS = 4_000_000  # eight of them take half a gigabyte
MAX_BYTES = 2**27
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}
AUDIO_SUFFIXES = {".wav", ".mp3", ".flac", ".ogg", ".m4a", ".aac", ".opus", ".aiff"}
VIDEO_SUFFIXES = {".mp4", ".mov", ".avi", ".mkv", ".webm", ".mpg"}  # which are refused with what to do
UNTIMED_MILLISECONDS = 100  # what browsers give a frame that states no time
VIDEO_ADVICE = (
    "A video is an animated GIF, WebP or PNG, or a folder of images; ffmpeg -i FILE -vf fps=4 film.gif makes one."
)
PART_ADVICE = f"Images are PNG or JPEG, audio is wav. {VIDEO_ADVICE}"


def read_image(path: str | Path) -> ImagePart:
    """The image in a file, turned the way its camera was held; where it is transparent, white shows.

    Raises:
        DataError: the file cannot be read, is not a whole image, or has too many pixels.
    """
    return ImagePart(image=decode_image(_content(Path(path)), name=str(path)))


def read_audio(path: str | Path) -> AudioPart:
    """The audio in a wav file, its channels averaged to one.

    Raises:
        DataError: the file cannot be read or is not a whole wav file.
    """
    return _audio(_content(Path(path)), str(path))


def read_video(path: str | Path) -> VideoPart:
    """The video in an animation, or in a folder of images, which show at the rate of the course's own videos.

    Of more than ``MAX_FRAMES`` frames, that many are taken, evenly spread. A still image is a video of one frame.

    Raises:
        DataError: a file cannot be read or is not a whole image; a folder holds no images, or images of several sizes.
    """
    if os.path.isdir(path):
        return _frames_in(Path(path))
    return _video(_content(Path(path)), str(path), VIDEO_ADVICE)


def read_part(path: str | Path) -> Part:
    """The image, audio or video in a file, or the video in a folder.

    Raises:
        DataError: the file cannot be read, or is none of these.
    """
    if os.path.isdir(path):
        return _frames_in(Path(path))
    content, name = _content(Path(path)), str(path)
    if content[8:12] == b"WAVE" or Path(path).suffix.lower() in AUDIO_SUFFIXES:
        return _audio(content, name)
    with opened_image(content, name, instead=PART_ADVICE) as file:
        is_video = file.format in ("GIF", "WEBP", "PNG") and getattr(file, "is_animated", False)
    return _video(content, name, PART_ADVICE) if is_video else ImagePart(image=decode_image(content, name=name))


def read_document(path: str | Path) -> MultimodalDocument:
    """The one document in a file, or a folder, that :func:`~.documents.write_multimodal_documents` wrote.

    Raises:
        DataError: it cannot be read, does not follow the format, or holds no or several documents.
    """
    try:
        documents = list(islice(read_multimodal_documents(path), 2))
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(documents) != 1:
        raise DataError(
            f"{path} holds {'several documents' if documents else 'no document'}. A prompt is one: keep one line."
        )
    return documents[0]


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        is_file, num_bytes = stat.S_ISREG(status.st_mode), status.st_size
        content = path.read_bytes() if is_file and num_bytes <= MAX_BYTES else b""
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if not is_file:
        raise DataError(f"{path} is a {'folder' if path.is_dir() else 'device'}, not a file. Give a file.")
    if num_bytes > MAX_BYTES:
        raise DataError(f"{path} has {num_bytes:,} bytes. Files of up to {MAX_BYTES:,} are read: make a smaller copy.")
    if not content:
        raise DataError(f"{path} is empty: it has 0 bytes. Copy it again.")
    return content


def _unreadable(path: str | Path, error: Exception) -> DataError:
    why = getattr(error, "strerror", None) or error
    return DataError(f"{path} cannot be read: {why}. Give the path of a file that is there and that you may read.")


def _audio(content: bytes, name: str) -> AudioPart:
    samples, rate = decode_wav(content, name)
    return AudioPart(samples=samples, sample_rate=rate)


def _video(content: bytes, name: str, advice: str) -> VideoPart:
    frames, milliseconds = [], 0.0
    with opened_image(content, name, MAX_FRAME_PIXELS, advice) as film:
        num_frames = getattr(film, "n_frames", 1)
        chosen = _spread(range(num_frames))
        for number in range(num_frames):
            milliseconds += _seek(film, number, film.size)
            if number in chosen:
                frames.append(pixels_of(film, num_channels=3))
    return VideoPart(frames=torch.stack(frames), frames_per_second=1000 * len(frames) / milliseconds)


def _seek(film: Image.Image, number: int, size: tuple[int, int]) -> float:
    """Decode a frame; return how many milliseconds it shows."""
    film.seek(number)
    if film.size != size:  # a damaged GIF may grow
        pixels = [f"{width:,} x {height:,}" for width, height in (film.size, size)]
        raise DataError(f"Frame {number + 1} has {pixels[0]} pixels, and the first {pixels[1]}. Save the video again.")
    film.load()
    return float(film.info.get("duration") or UNTIMED_MILLISECONDS)


def _frames_in(folder: Path) -> VideoPart:
    paths = _images_in(folder)
    chosen = _spread(paths)
    frames = []
    for path in chosen:
        with opened_image(_content(path), str(path), MAX_FRAME_PIXELS) as file:
            frames.append(pixels_of(file, num_channels=3))
    sizes = sorted({f"{frame.shape[2]}x{frame.shape[1]}" for frame in frames})
    if len(sizes) > 1:
        raise DataError(f"The images in {folder} have {' and '.join(sizes)} pixels. A video needs frames of one size.")
    return VideoPart(frames=torch.stack(frames), frames_per_second=FRAMES_PER_SECOND * len(chosen) / len(paths))


def _images_in(folder: Path) -> list[Path]:
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."]
    except OSError as error:
        raise _unreadable(folder, error) from None
    if not paths:
        raise DataError(
            f"{folder} holds no images. A folder is read as a video: give it frames such as 1.png, 2.png, 3.png."
        )
    return sorted(paths, key=_by_number)


def _by_number(path: Path) -> list[tuple[int, str]]:
    """So that frame 10 comes after frame 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _spread(items: Sequence[T]) -> list[T]:
    """At most ``MAX_FRAMES`` of them, evenly spread, beginning with the first."""
    number = min(len(items), MAX_FRAMES)
    return [items[i * len(items) // number] for i in range(number)]
