"""The files of a published model on disk: JSON, and tensors by name from one or several safetensors files."""

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from gemini_workshop import reading
from gemini_workshop.errors import CheckpointError, DataError
from gemini_workshop.reading import shortened

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
DECODER = "model.language_model."  # before the names of the decoder's tensors in a multimodal model


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; a file that is missing or damaged is an error that names it."""
    try:
        values = reading.read_json(path, "a file that transformers wrote")
    except DataError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error} Give a folder that transformers wrote.") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds {shortened(repr(values))}, not an object. Give a folder of transformers.")
    return values


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write it indented, with the same bytes on every system."""
    path.write_text(json.dumps(values, indent=2) + "\n", "utf-8", newline="\n")


def usual_mode(folder: Path) -> int:
    """The permissions of a file that is made here, as this user's settings have it."""
    probe = folder / ".mode"
    probe.touch()
    mode = probe.stat().st_mode
    probe.unlink()
    return mode & 0o777


def open_tensors(folder: Path, files: ExitStack, prefix: str) -> dict[str, Callable[[], Tensor]]:
    """The tensors of a folder by name, each as a function that reads it from disk.

    Args:
        files: closes the files in the end.
        prefix: first part of the names in a text-only model.
    """
    tensors: dict[str, Callable[[], Tensor]] = {}
    for path in _weight_paths(folder):
        try:
            file = files.enter_context(safe_open(path, framework="pt"))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} cannot be read: {error}. Download or save it again.") from None
        tensors |= {name: partial(file.get_tensor, name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    has_prefix = any(name.startswith((f"{prefix}.", "language_model.")) for name in tensors)
    if any(name.startswith(DECODER) for name in tensors):
        tensors = {bare_name(name): read for name, read in tensors.items()}
    return {text_only_name(name, has_prefix, prefix): read for name, read in tensors.items()}


def _weight_paths(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if not (folder / INDEX).exists():
        raise CheckpointError(
            f"There are no weights in {folder}: neither {WEIGHTS} nor {INDEX}. "
            "Older formats (pytorch_model.bin) run code when they are read and are not supported."
        )
    return [folder / name for name in sorted(set(read_json(folder / INDEX)["weight_map"].values()))]


def bare_name(name: str) -> str:
    """The name in a multimodal model, without what transformers 5 puts before all of its parts."""
    return re.sub(r"^model\.", "", name.replace(DECODER, "language_model.model.", 1))


def multimodal_name(name: str) -> str:
    """The name that a tensor of a text-only model, or of what reads media, has in a multimodal model."""
    if name.startswith("lm_head."):
        return name
    return DECODER + name.removeprefix("model.") if name.startswith("model.") else f"model.{name}"


def text_only_name(name: str, has_prefix: bool, prefix: str) -> str:
    """The name that the tensor would have in a text-only model with a head.

    Multimodal models keep their language model under another prefix; GPT-2 was published without its prefix.
    """
    name = re.sub(r"^language_model\.model\.", "model.", name).removeprefix("language_model.")
    return name if has_prefix or name.startswith("lm_head.") else f"{prefix}.{name}"
