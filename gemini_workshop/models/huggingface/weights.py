"""Folders as transformers writes them: config.json and safetensors, read into our decoder and written from it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gemini_workshop.config import ModelConfig
from gemini_workshop.errors import CheckpointError
from gemini_workshop.models.accounting import without_memory
from gemini_workshop.models.huggingface.config import (
    config_dict_from,
    family_of,
    model_config_from,
    text_values,
)
from gemini_workshop.models.huggingface.equivalent import in_published_words
from gemini_workshop.models.huggingface.names import Spelling, canonical, is_ignored, spellings
from gemini_workshop.models.transformer import Transformer

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHOWN_NAMES = 8


class WeightFiles:
    """The tensors of a folder's safetensors files by name, read from the disk when they are asked for."""

    def __init__(self, folder: Path, stack: ExitStack, base: str) -> None:
        self.folder = folder
        self._places: dict[str, tuple[Any, str]] = {}
        for path in _weight_paths(folder):
            try:
                file = stack.enter_context(safe_open(path, framework="pt"))
            except (OSError, SafetensorError) as error:
                raise CheckpointError(f"{path} cannot be read: {error}. Fetch or save it again.") from None
            self._places |= {name: (file, name) for name in file.keys()}  # noqa: SIM118  # no mapping
        are_bare = not any(name.startswith((f"{base}.", "language_model.")) for name in self._places)
        self._places = {canonical(name, are_bare, base): place for name, place in self._places.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> Tensor:
        file, own_name = self._places[name]
        return file.get_tensor(own_name)


def load_huggingface(
    folder: str | Path, dtype: torch.dtype | None = None, device: str | torch.device = "cpu"
) -> Transformer:
    """Read a model that transformers wrote, or :func:`save_huggingface`: all of its weights, and nothing else.

    Args:
        folder: holds config.json and safetensors files, one or several with an index.
        dtype: number format of the weights; left out, that of the file. Biases that choose among experts keep float32.

    Raises:
        CheckpointError: a file is missing or damaged, or names or shapes do not fit; all of them are listed.
        WorkshopError: config.json describes what this decoder does not know.
    """
    folder = Path(folder)
    values = text_values(_read_json(folder / "config.json"))
    config, family = model_config_from(values), str(values["model_type"])
    model = without_memory(config)
    needed = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    with ExitStack() as stack:
        files = WeightFiles(folder, stack, "transformer" if family == "gpt2" else "model")
        found = _find(files, family, config, set(needed))
        weights: dict[str, Tensor] = {}
        for spelling in found:
            weights |= _read(files, spelling, needed, dtype, device)
    model.load_state_dict(weights, assign=True)
    model.restore_constants(device)
    return model.eval()


def _find(files: WeightFiles, family: str, config: ModelConfig, needed: set[str]) -> list[Spelling]:
    """How the files spell what the model needs; an error if they lack something or hold something else."""
    found, missing = [], []
    for ways in spellings(family, config, needed).values():
        fitting = [way for way in ways if all(name in files for name in way.theirs)]
        found += fitting[:1]
        missing += [] if fitting else [name for name in ways[0].theirs if name not in files]
    used = {name for spelling in found for name in spelling.theirs}
    extra = [name for name in files if name not in used and not is_ignored(name, family, config)]
    if missing or extra:
        raise CheckpointError(
            f"The weights in {files.folder} are not those of a {family} as its config.json describes it. "
            f"Missing: {_listed(missing)}. Not expected: {_listed(extra)}."
        )
    return found


def _read(
    files: WeightFiles,
    spelling: Spelling,
    needed: dict[str, tuple[int, ...]],
    dtype: torch.dtype | None,
    device: str | torch.device,
) -> dict[str, Tensor]:
    theirs = [files[name] for name in spelling.theirs]
    try:
        ours = dict(zip(spelling.ours, spelling.layout.to_ours(theirs), strict=True))
        fits = all(tuple(tensor.shape) == needed[name] for name, tensor in ours.items())
    except (RuntimeError, ValueError):
        fits = False
    if not fits:
        have = ", ".join(f"{name} {tuple(x.shape)}" for name, x in zip(spelling.theirs[:2], theirs, strict=False))
        need = ", ".join(f"{name} {needed[name]}" for name in spelling.ours)
        raise CheckpointError(
            f"In {files.folder}, {have} does not give {need}. Does config.json belong to the weights?"
        )
    kept = dtype or theirs[0].dtype
    if spelling.ours[0].endswith("selection_bias"):
        kept = torch.promote_types(kept, torch.float32)  # rounded, it would choose other experts
    return {
        name: tensor.to(device=device, dtype=kept, copy=True, memory_format=torch.contiguous_format)
        for name, tensor in ours.items()
    }


def save_huggingface(
    model: Transformer,
    folder: str | Path,
    family: str | None = None,
    *,
    max_shard_bytes: int = 5 * 10**9,
    extra_values: dict[str, Any] | None = None,
) -> str:
    """Write a model as transformers reads it: ``AutoModelForCausalLM.from_pretrained(folder)``.

    Args:
        folder: new or empty.
        family: ``model_type`` of the family whose words are used; left out, the first that has words for all of it.
            Weights of norms are written as the family writes them: Gemma's multiply by 1 + weight.
        max_shard_bytes: larger models are split into several files with an index.
        extra_values: more for config.json, such as ``eos_token_id``.

    Returns:
        The family.

    Raises:
        ConfigError: the family cannot express the model; what it lacks is named.
        CheckpointError: the folder is not empty.
    """
    folder = Path(folder)
    model = in_published_words(model, family)
    family = family or family_of(model.config)
    values = config_dict_from(model.config, family)
    if folder.exists() and any(folder.iterdir()):
        raise CheckpointError(f"{folder} is not empty. Choose a new folder, so that no weights of another model stay.")
    folder.mkdir(parents=True, exist_ok=True)
    weights = model.state_dict()
    ways = spellings(family, model.config, set(weights))
    assert {name for names in ways for name in names} == set(weights)  # what a family can express, it has names for
    shards = _shards(ways, weights, max_shard_bytes)
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = WEIGHTS if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        tensors = {name: tensor for spelling in shard for name, tensor in _their_tensors(spelling, weights)}
        save_file(tensors, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, file)
    if len(shards) > 1:
        total = sum(weight.nbytes for weight in weights.values())
        _write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": places})
    dtype = str(next(iter(weights.values())).dtype).removeprefix("torch.")
    ids = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    _write_json(folder / "config.json", values | ids | {"dtype": dtype} | (extra_values or {}))
    return family


def _shards(
    ways: dict[tuple[str, ...], list[Spelling]], weights: dict[str, Tensor], max_bytes: int
) -> list[list[Spelling]]:
    """Fill one file after the other; what belongs together stays in one file, however large."""
    shards: list[list[Spelling]] = [[]]
    num_bytes = 0
    for ours, (first, *_) in ways.items():
        size = sum(weights[name].nbytes for name in ours)
        if shards[-1] and num_bytes + size > max_bytes:
            shards.append([])
            num_bytes = 0
        shards[-1].append(first)
        num_bytes += size
    return shards


def _their_tensors(spelling: Spelling, weights: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    theirs = spelling.layout.to_theirs([weights[name].detach() for name in spelling.ours])
    for name, tensor in zip(spelling.theirs, theirs, strict=True):
        yield name, tensor.clone(memory_format=torch.contiguous_format)  # a file may not hold two views of one tensor


def _weight_paths(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if not (folder / INDEX).exists():
        raise CheckpointError(
            f"There are no weights in {folder}: neither {WEIGHTS} nor {INDEX}. "
            "Older formats (pytorch_model.bin) run code when they are read and are not supported."
        )
    return [folder / name for name in sorted(set(_read_json(folder / INDEX)["weight_map"].values()))]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}. Give a folder that transformers wrote.") from None


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", "utf-8", newline="\n")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more if names else "nothing"
