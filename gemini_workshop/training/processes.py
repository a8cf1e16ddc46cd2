"""The processes that train one model together. Alone, all of this does what one process would do anyway.

Each process reads its rows of the same batch. What one process would have summed over all rows is summed over the
processes, so that one and many compute the same numbers.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True, kw_only=True, slots=True)
class Processes:
    """This process among the others.

    Args:
        rank: its number, from 0.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files and talks."""
        return self.rank == 0

    def rows(self, batch: Tensor) -> Tensor:
        """The rows of a batch that this process reads: every ``count``-th."""
        return batch[self.rank :: self.count]

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a number over all processes."""
        if self.count > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def gathering(self, network: object, *, is_last: bool) -> AbstractContextManager[None]:
        """Inside, gradients of a distributed network are summed over the processes only if this part is the last."""
        if self.count > 1 and not is_last and isinstance(network, DistributedDataParallel):
            return network.no_sync()
        return nullcontext()


ALONE = Processes()


def broadcast_object(value: object, processes: Processes) -> object:
    """The first process's value, on all."""
    if processes.count == 1:
        return value
    box = [value if processes.is_first else None]
    dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]
