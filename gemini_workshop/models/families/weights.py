"""Folders as transformers writes them, config.json and safetensors: read into our decoder and written from it."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from gemini_workshop.config import ModelConfig
from gemini_workshop.errors import CheckpointError
from gemini_workshop.models.accounting import without_memory
from gemini_workshop.models.families.engine import Family
from gemini_workshop.models.families.files import (
    INDEX,
    WEIGHTS,
    multimodal_name,
    open_tensors,
    read_json,
    usual_mode,
    write_json,
)
from gemini_workshop.models.families.names import WeightName
from gemini_workshop.models.families.norms import publishable
from gemini_workshop.models.families.registry import config_dict_from, family_of, find_family, flat_values
from gemini_workshop.models.transformer import Transformer

SHOWN_NAMES = 8


# --- Which tensor is where ---


def weight_names(family: Family, config: ModelConfig, needed: set[str]) -> dict[tuple[str, ...], list[WeightName]]:
    """For each group of tensors that a model needs, the names that a family's files may have; the preferred first."""
    found: dict[tuple[str, ...], list[WeightName]] = {}
    num_experts = config.moe.num_experts if config.moe else 0
    tower = config.media.tower if config.media else None
    num_layers = max(config.num_layers, tower.num_layers if tower else 0)
    for template in family.weights:
        layers = range(num_layers) if "{i}" in template.ours[0] else (0,)
        for name in (template.of_layer(i, num_experts) for i in layers):
            if needed.issuperset(name.ours):
                found.setdefault(name.ours, []).append(name)
    return found


def is_unused(name: str, family: Family, config: ModelConfig) -> bool:
    """Whether files may hold the tensor although the decoder does not use it."""
    if layer := re.match(r"model\.layers\.(\d+)\.(self_attn\.(?:k_proj|v_proj|k_norm)\.)?", name):
        number, is_key_or_value = int(layer[1]), layer[2] is not None
        if number >= config.num_layers:
            return family.predicts_ahead
        if is_key_or_value and config.layers[number].borrows_kv:
            return True
    is_tied = config.tied_head and name == "lm_head.weight"
    return is_tied or any(re.search(pattern, name) for pattern in family.unused)


# --- Reading ---


def load_huggingface(
    folder: str | Path,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
    *,
    text_only: bool = False,
) -> Transformer:
    """Read a model that transformers or :func:`save_huggingface` wrote. Missing and extra tensors are errors.

    Args:
        folder: holds config.json and safetensors files, one or several with an index.
        dtype: number format of the weights; default: that of the file. Biases that choose experts stay in float32.
        text_only: of a multimodal model, read the decoder alone. Where the encoders of images and audio are not built
            here, the decoder is all that is read anyway.

    Raises:
        CheckpointError: a file is missing or damaged, or names or shapes do not fit; all of them are listed.
        WorkshopError: config.json describes a model that this decoder does not support.
    """
    folder = Path(folder)
    values = flat_values(read_json(folder / "config.json"), text_only)
    family = find_family(str(values.get("model_type")))
    config = family.read(values)
    model = without_memory(config)
    needed = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    weights: dict[str, Tensor] = {}
    with ExitStack() as files:
        tensors = open_tensors(folder, files, family.prefix)
        try:
            for name in _find(set(tensors), family, config, set(needed)):
                found = _converted(name, [tensors[their_name]() for their_name in name.theirs], needed)
                weights |= {ours: _placed(tensor, name, dtype, device) for ours, tensor in found.items()}
        except CheckpointError as error:
            raise CheckpointError(f"The weights in {folder} do not fit its config.json. {error}") from None
    model.load_state_dict(weights, assign=True)
    model.restore_constants(device)
    return model.eval()


def _find(available: set[str], family: Family, config: ModelConfig, needed: set[str]) -> list[WeightName]:
    """The names under which files hold what the model needs; an error if they lack something or hold more."""
    found, missing = [], []
    for names in weight_names(family, config, needed).values():
        fitting = [name for name in names if available.issuperset(name.theirs)]
        found += fitting[:1]
        missing += [] if fitting else [theirs for theirs in names[0].theirs if theirs not in available]
    extra = available - {theirs for name in found for theirs in name.theirs}
    extra = {name for name in extra if not is_unused(name, family, config)}
    if missing or extra:
        raise CheckpointError(f"Missing: {_listed(missing)}. Not expected: {_listed(sorted(extra))}.")
    return found


def _converted(name: WeightName, theirs: list[Tensor], needed: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Their tensors as ours; an error if they do not have the shapes that are needed."""
    try:
        ours = dict(zip(name.ours, name.layout.to_ours(theirs), strict=True))
        fits = all(tuple(tensor.shape) == needed[our_name] for our_name, tensor in ours.items())
    except (RuntimeError, ValueError):
        fits = False
    if not fits:
        have = ", ".join(f"{place} {tuple(x.shape)}" for place, x in zip(name.theirs[:2], theirs, strict=False))
        need = ", ".join(f"{place} {needed[place]}" for place in name.ours)
        raise CheckpointError(f"{have} does not give {need}.")
    return ours


def _placed(tensor: Tensor, name: WeightName, dtype: torch.dtype | None, device: str | torch.device) -> Tensor:
    kept = dtype or tensor.dtype
    if name.keeps_float32:
        kept = torch.promote_types(kept, torch.float32)
    return tensor.to(device=device, dtype=kept, copy=True, memory_format=torch.contiguous_format)


# --- Writing ---


def save_huggingface(
    model: Transformer,
    folder: str | Path,
    family: str | None = None,
    *,
    max_shard_bytes: int = 5 * 10**9,
    extra_values: dict[str, Any] | None = None,
) -> str:
    """Write a model as transformers reads it: ``AutoModelForCausalLM.from_pretrained(folder)``.

    A model that takes media is written as a multimodal model: ``AutoModelForImageTextToText``.

    Args:
        folder: new or empty.
        family: ``model_type`` of the family to write it as; default: the first that can express the model. Weights of
            norms are written as the family writes them: Gemma's multiply by 1 + weight.
        max_shard_bytes: larger models are split into several files with an index.
        extra_values: more keys for config.json, such as ``eos_token_id``.

    Returns:
        The family.

    Raises:
        ConfigError: the family cannot express the model; the fields are named.
        CheckpointError: the folder is not empty.
    """
    folder = Path(folder)
    model = publishable(model, family)
    family = family or family_of(model.config)
    values = config_dict_from(model.config, family)
    ids = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    if is_multimodal := "text_config" in values:
        values["text_config"] = ids | values["text_config"] | (extra_values or {})
    check_empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = model.state_dict()
    names = weight_names(find_family(family), model.config, set(weights))
    assert {name for group in names for name in group} == set(weights)  # what a family can express, it can name
    first_names = [_in_multimodal(first) if is_multimodal else first for first, *_ in names.values()]
    _write_shards(_shards(first_names, weights, max_shard_bytes), weights, folder)
    dtype = str(next(iter(weights.values())).dtype).removeprefix("torch.")
    dtypes = {"dtype": dtype, "torch_dtype": dtype}  # the name in transformers 5, and in 4
    write_json(folder / "config.json", values | ids | dtypes | (extra_values or {}))
    return family


def _in_multimodal(name: WeightName) -> WeightName:
    return replace(name, theirs=tuple(map(multimodal_name, name.theirs)))


def _shards(names: list[WeightName], weights: dict[str, Tensor], max_bytes: int) -> list[list[WeightName]]:
    """Fill one file after the other; what belongs together stays in one file, however large."""
    shards: list[list[WeightName]] = [[]]
    num_bytes = 0
    for name in names:
        size = sum(weights[our_name].nbytes for our_name in name.ours)
        if shards[-1] and num_bytes + size > max_bytes:
            shards.append([])
            num_bytes = 0
        shards[-1].append(name)
        num_bytes += size
    return shards


def check_empty(folder: Path) -> None:
    """Refuse to write a model beside other files.

    Raises:
        CheckpointError: the folder is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise CheckpointError(f"{folder} is not empty. Choose a new folder, so that models are not mixed.")


def _write_shards(shards: list[list[WeightName]], weights: dict[str, Tensor], folder: Path) -> None:
    """Write the files, and an index if there is more than one."""
    places: dict[str, str] = {}
    usual = usual_mode(folder)
    for number, shard in enumerate(shards, start=1):
        file = WEIGHTS if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        tensors = {their_name: tensor for name in shard for their_name, tensor in _their_tensors(name, weights)}
        save_file(tensors, folder / file, metadata={"format": "pt"})
        (folder / file).chmod(usual)  # safetensors lets nobody else read
        places |= dict.fromkeys(tensors, file)
    if len(shards) > 1:
        total = sum(weight.nbytes for weight in weights.values())
        write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": places})


def _their_tensors(name: WeightName, weights: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    theirs = name.layout.to_theirs([weights[our_name].detach() for our_name in name.ours])
    for their_name, tensor in zip(name.theirs, theirs, strict=True):
        yield (
            their_name,
            tensor.clone(memory_format=torch.contiguous_format),
        )  # not two views of one


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more if names else "nothing"
