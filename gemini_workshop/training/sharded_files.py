"""One safetensors file written by many processes, each its share, and read by any other number of them.

Source: torch.distributed.checkpoint, with safetensors in place of its own format, whose index is a pickle.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

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


def _write_shares(path: Path, tensors: Mapping[str, Tensor], processes: Processes) -> None:
    """Each process gives what it has: whole tensors, and its shares of distributed ones. The first merges them."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter

    parts = path.with_suffix(".parts")
    writer = HuggingFaceStorageWriter(str(parts), save_distributed=True, enable_consolidation=True)
    dcp.save(dict(tensors), storage_writer=writer)
    if processes.is_first:
        (merged,) = parts.glob("*.safetensors")
        merged.rename(path)
        shutil.rmtree(parts)
    processes.wait()


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
