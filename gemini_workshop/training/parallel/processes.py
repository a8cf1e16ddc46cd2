"""The processes that train one model together; with one process, all of this changes nothing.

Each process reads its rows of the same batch. What one process would have summed over all rows is summed over the
processes, so that any number of them computes the same numbers.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import get_total_norm

T = TypeVar("T")


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
        """Whether this is the one that writes files and prints."""
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

    def largest(self, value: int, device: torch.device) -> int:
        """The largest of the values that the processes have."""
        if self.count == 1:
            return value
        values = torch.tensor(value, device=device)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return int(values)

    def gathering(self, network: nn.Module, *, is_last: bool) -> AbstractContextManager[None]:
        """Inside, gradients of a distributed network are summed over the processes only if this part is the last."""
        if isinstance(network, DistributedDataParallel):
            return nullcontext() if is_last else network.no_sync()
        for module in network.modules() if self.count > 1 else ():
            set_sync = getattr(module, "set_requires_gradient_sync", None)  # FSDP's modules have it
            if set_sync is not None:
                set_sync(is_last, recurse=False)
        return nullcontext()

    def clip_gradients(self, weights: Sequence[Tensor], limit: float) -> Tensor:
        """Scale the whole gradient down to a norm of at most ``limit``, wherever its parts are.

        Returns:
            The norm before.
        """
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        shards: list[Tensor] = [gradient.to_local() for gradient in gradients if is_sharded(gradient)]  # type: ignore[attr-defined]
        if not shards:
            return torch.nn.utils.clip_grad_norm_(weights, limit)
        whole = [gradient for gradient in gradients if not is_sharded(gradient)]
        squares = self.sum(get_total_norm(shards).square()) + get_total_norm(whole).square()
        norm = squares.sqrt()
        for gradient in (*shards, *whole):
            gradient.mul_((limit / (norm + 1e-6)).clamp(max=1.0))
        return norm


ALONE = Processes()


def is_sharded(tensor: Tensor) -> bool:
    """Whether this process holds only a part of the tensor: whether it is a DTensor, whose module is slow to import."""
    return hasattr(tensor, "to_local")


def from_first(make: Callable[[], T], processes: Processes) -> T:
    """What the first process makes, on all. If it fails, all raise its error, and none waits for what never comes."""
    if processes.count == 1:
        return make()
    made: T | None = None
    failure: Exception | None = None
    if processes.is_first:
        try:
            made = make()
        except Exception as error:
            failure = error
    made, failure = broadcast_object((made, failure), processes)
    if failure is not None:
        raise failure
    return made  # type: ignore[return-value]


def broadcast_object(value: T, processes: Processes) -> T:
    """The first process's value, on all."""
    if processes.count == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]
