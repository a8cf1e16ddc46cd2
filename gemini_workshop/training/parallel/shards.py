"""Tensors that several processes hold, made whole on the first, and divided again among any number of processes."""

from collections.abc import Mapping

import torch.distributed as dist
from torch import Tensor

from gemini_workshop.training.parallel.processes import Processes, broadcast_object, is_sharded


def gathered(tensors: Mapping[str, Tensor], processes: Processes) -> dict[str, Tensor]:
    """Everything that any process has, whole, on the first process; nothing on the others. All must call.

    Args:
        tensors: whole ones, shards of distributed ones (in all processes), and what this process alone has.
    """
    if processes.count == 1:
        return dict(tensors)
    whole = {}
    for name, tensor in tensors.items():
        value = tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
        if processes.is_first:
            whole[name] = value
    known = broadcast_object(set(whole), processes)
    own = {name: tensor for name, tensor in tensors.items() if name not in known}
    found: list[dict[str, Tensor]] | None = [{} for _ in range(processes.count)] if processes.is_first else None
    dist.gather_object(own, found)
    for others in found or []:
        whole |= others
    return whole


def sharded_like(whole: Tensor, home: Tensor) -> Tensor:
    """A whole tensor, where ``home`` is: this process's shard of it, if ``home`` is sharded. All must call."""
    whole = whole.to(home.device)
    if not is_sharded(home):
        return whole
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(home, DTensor)
    return distribute_tensor(whole, home.device_mesh, home.placements)
