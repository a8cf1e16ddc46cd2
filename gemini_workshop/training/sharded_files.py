"""One safetensors file written by many processes, each its share, and read by any other number of them.

Source: torch.distributed.checkpoint, with safetensors in place of its own format, whose index is a pickle.
Differs: the shares are merged here, because PyTorch 2.13 merges neither whole numbers nor tensors without an axis.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from gemini_workshop.training.processes import Processes


def is_share(tensor: Tensor) -> bool:
    """Whether this process holds only a part of the tensor: whether it is a DTensor, whose module is slow to import."""
    return hasattr(tensor, "to_local")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], processes: Processes, *, is_shared: bool) -> None:
    """Write one file: the first process alone, or all together if each has a share."""
    if is_shared:
        _write_shares(path, tensors, processes)
    elif processes.is_first:
        path.write_bytes(save(dict(tensors)))


def read_tensors(folder: Path, into: Mapping[str, Tensor]) -> None:
    """Fill tensors from the safetensors files of a folder; of distributed tensors only this process's share is read."""
    shared = {name: tensor for name, tensor in into.items() if is_share(tensor)}
    if shared:
        import torch.distributed.checkpoint as dcp
        from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader

        dcp.load(dict(shared), storage_reader=HuggingFaceStorageReader(str(folder)))
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file, torch.no_grad():
            for name in into.keys() & set(file.keys()) - shared.keys():
                into[name].copy_(file.get_tensor(name))


def _write_shares(path: Path, tensors: Mapping[str, Tensor], processes: Processes) -> None:
    """Each process gives what it has: whole tensors, and its shares of distributed ones. The first merges them."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter

    parts = path.with_suffix(".parts")
    dcp.save(dict(tensors), storage_writer=HuggingFaceStorageWriter(str(parts), save_distributed=True))
    if processes.is_first:
        _merge(parts, path)
        shutil.rmtree(parts)
    processes.wait()


def _merge(parts: Path, path: Path) -> None:
    """Write one file with all that the files in ``parts`` hold, one tensor in memory at a time."""
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader

    metadata: Any = HuggingFaceStorageReader(str(parts)).read_metadata()
    pieces: dict[str, list[tuple[list[int], str]]] = defaultdict(list)
    for place, info in metadata.storage_data.items():
        pieces[place.fqn].append((list(place.offset or []), info.relative_path))
    header: dict[str, dict[str, Any]] = {}
    end = 0
    for name, found in pieces.items():
        kind = metadata.state_dict_metadata[name]
        start, end = end, end + kind.size.numel() * kind.properties.dtype.itemsize
        with safe_open(found[0][1], framework="pt") as file:
            dtype = file.get_slice(name).get_dtype()
        header[name] = {"dtype": dtype, "shape": list(kind.size), "data_offsets": [start, end]}
    encoded = json.dumps(header).encode()
    with path.open("wb") as output:
        output.write(len(encoded).to_bytes(8, "little") + encoded)
        for name, found in pieces.items():
            kind = metadata.state_dict_metadata[name]
            whole = torch.empty(kind.size, dtype=kind.properties.dtype)
            for offset, source in found:
                with safe_open(source, framework="pt") as file:
                    piece = file.get_tensor(name)
                whole[tuple(slice(at, at + size) for at, size in zip(offset, piece.shape, strict=True))] = piece
            output.write(whole.reshape(-1).view(torch.uint8).numpy().tobytes())
