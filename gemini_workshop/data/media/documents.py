"""Documents in which text, images, audio and videos follow each other: JSON lines, with the media in files beside them.

    folder/documents.jsonl      {"id": "7", "parts": [{"type": "text", "text": "Who says"},
                                                      {"type": "image", "file": "media/1f0c….png"},
                                                      {"type": "text", "text": "like this:"},
                                                      {"type": "audio", "file": "media/77ab….wav"}]}
    folder/media/               PNG of 8 bits and wav of 16 bits, named by their content

A video is a list of images: {"type": "video", "files": [...], "frames_per_second": 4.0}.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.data.media.images import decode_image, encode_png
from gemini_workshop.data.media.wav import encode_wav, read_wav
from gemini_workshop.errors import DataError
from gemini_workshop.files import opened_atomically, write_atomically

DOCUMENTS_FILE = "documents.jsonl"
MEDIA_FOLDER = "media"


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPart:
    """Some text."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImagePart:
    """An image between 0 and 1, of 1 or 3 channels."""

    image: Float[Tensor, "channels height width"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AudioPart:
    """Audio between -1 and 1."""

    samples: Float[Tensor, " samples"]
    sample_rate: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VideoPart:
    """A video: images of one size."""

    frames: Float[Tensor, "frames channels height width"]
    frames_per_second: float


Part = TextPart | ImagePart | AudioPart | VideoPart

FIELDS: dict[str, dict[str, type]] = {
    "text": {"text": str},
    "image": {"file": str},
    "audio": {"file": str},
    "video": {"files": list, "frames_per_second": float},
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MultimodalDocument:
    """Parts in reading order.

    Args:
        id: a name of its own among the documents of a folder.
    """

    id: str
    parts: tuple[Part, ...]


def write_multimodal_documents(folder: str | Path, documents: Iterable[MultimodalDocument]) -> Path:
    """Write documents and their media; return the file of documents, which is there only when all is.

    Images are rounded to 256 shades and audio to 16 bits. Equal media are stored once.

    Raises:
        DataError: two documents have one id, or an image or audio is outside its range.
    """
    path = Path(folder) / DOCUMENTS_FILE
    ids: set[str] = set()
    with opened_atomically(path) as file:
        for document in documents:
            _check_id(document.id, ids, f"document {len(ids) + 1}")
            parts = [_store(part, Path(folder)) for part in document.parts]
            line = json.dumps({"id": document.id, "parts": parts}, ensure_ascii=False)
            file.write(line.encode("utf-8") + b"\n")
    return path


def read_multimodal_documents(folder: str | Path) -> Iterator[MultimodalDocument]:
    """The documents of a folder, or of a ``.jsonl`` file with its media beside it, one by one, their media loaded.

    Raises:
        DataError: a line does not follow the format, or a file is missing, damaged or outside the folder; the message
            names the line and the part.
    """
    path = Path(folder) if Path(folder).suffix == ".jsonl" else Path(folder) / DOCUMENTS_FILE
    if not path.is_file():
        raise DataError(f"{path} is not there. Write it with write_multimodal_documents.")
    ids: set[str] = set()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path}, line {number}"
            entry = _parse(line, where)
            _check_id(entry["id"], ids, where)
            parts = [_load(part, path.parent, f"{where}, part {i}") for i, part in enumerate(entry["parts"], start=1)]
            yield MultimodalDocument(id=entry["id"], parts=tuple(parts))


def _check_id(name: str, ids: set[str], where: str) -> None:
    if name in ids:
        raise DataError(f"{where}: the id {name!r} is taken by an earlier document. Give each its own.")
    ids.add(name)


def _store(part: Part, folder: Path) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            return {"type": "image", "file": _store_file(encode_png(part.image), ".png", folder)}
        case AudioPart():
            content = encode_wav(part.samples, part.sample_rate)
            return {"type": "audio", "file": _store_file(content, ".wav", folder)}
        case VideoPart():
            files = [_store_file(encode_png(frame), ".png", folder) for frame in part.frames]
            return {"type": "video", "files": files, "frames_per_second": part.frames_per_second}


def _store_file(content: bytes, suffix: str, folder: Path) -> str:
    name = f"{MEDIA_FOLDER}/{hashlib.sha256(content).hexdigest()[:32]}{suffix}"
    if not (folder / name).is_file():
        write_atomically(folder / name, content)
    return name


def _parse(line: bytes, where: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON: {error}.") from None
    _check_fields(entry, {"id": str, "parts": list}, where)
    return entry


def _check_fields(entry: Any, fields: dict[str, type], where: str) -> None:
    if not isinstance(entry, dict) or entry.keys() != fields.keys():
        found = ", ".join(entry) if isinstance(entry, dict) else repr(entry)
        raise DataError(f"{where} has the fields {found or 'none'}. It needs exactly {', '.join(fields)}.")
    for name, kind in fields.items():
        if not isinstance(entry[name], int | float if kind is float else kind):
            raise DataError(f"{where}: {name}={entry[name]!r} is not of type {kind.__name__}.")


def _load(entry: Any, folder: Path, where: str) -> Part:
    kind = entry.get("type") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or kind not in FIELDS:
        raise DataError(f"{where} has the type {kind!r}. Known: {', '.join(FIELDS)}.")
    _check_fields(entry, {"type": str, **FIELDS[kind]}, where)
    if kind == "text":
        return TextPart(text=entry["text"])
    if kind == "image":
        return ImagePart(image=_load_image(entry["file"], folder, where))
    if kind == "audio":
        samples, sample_rate = read_wav(_media_path(entry["file"], folder, where))
        return AudioPart(samples=samples, sample_rate=sample_rate)
    return _load_video(entry, folder, where)


def _load_video(entry: dict[str, Any], folder: Path, where: str) -> VideoPart:
    frames = [_load_image(file, folder, where) for file in entry["files"]]
    sizes = sorted({tuple(frame.shape) for frame in frames})
    if len(sizes) != 1 or not entry["frames_per_second"] > 0:
        raise DataError(
            f"{where} has {len(frames)} frames of the sizes {sizes} at {entry['frames_per_second']:g} a second. "
            "A video needs frames, all of one size, and a rate above 0."
        )
    return VideoPart(frames=torch.stack(frames), frames_per_second=float(entry["frames_per_second"]))


def _load_image(file: Any, folder: Path, where: str) -> Float[Tensor, "channels height width"]:
    path = _media_path(file, folder, where)
    return decode_image(path.read_bytes(), name=f"{where}: {path}")


def _media_path(file: Any, folder: Path, where: str) -> Path:
    """The file that an entry names, below the folder: a document must not reach for other files of the machine."""
    pure = PurePosixPath(file) if isinstance(file, str) else None
    if pure is None or pure.is_absolute() or ".." in pure.parts or "\\" in str(file) or ":" in str(file):
        raise DataError(f"{where}: the file {file!r} is not a path below {folder}, such as {MEDIA_FOLDER}/picture.png.")
    if not (folder / pure).is_file():
        raise DataError(
            f"{where}: the file {file} is not in {folder}. Copy the folder {MEDIA_FOLDER} with the documents."
        )
    return folder / pure
