"""The processes that train one model together. Alone, all of this does what one process would do anyway.

Each process reads its rows of the same batch. What one process would have summed over all rows is summed over the
processes, so that one and many compute the same numbers.
"""

import inspect
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

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
        """Whether this is the one that writes files and talks."""
        return self.rank == 0

    def rows(self, batch: Tensor) -> Tensor:
        """The rows of a batch that this process reads: every ``count``-th."""
        return batch[self.rank :: self.count]

    def rows_to_measure(self, inputs: Tensor, targets: Tensor) -> tuple[tuple[Tensor, Tensor], bool]:
        """This process's rows of a batch, and whether it has any; if not, a row that must not be counted.

        Where processes hold parts of one model, each must compute whenever one does.
        """
        has_rows = self.rank < len(targets)
        return ((self.rows(inputs), self.rows(targets)) if has_rows else (inputs[:1], targets[:1])), has_rows

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a number over all processes."""
        if self.count > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def wait(self) -> None:
        """Go on only when all have come here."""
        if self.count > 1:
            dist.barrier()

    def gathering(self, network: Any, *, is_last: bool) -> AbstractContextManager[None]:
        """Inside, gradients of a distributed network are summed over the processes only if this part is the last."""
        network = inspect.unwrap(network) if network is not None else None  # as it was before it was compiled
        if isinstance(network, DistributedDataParallel):
            return nullcontext() if is_last else network.no_sync()
        for module in network.modules() if self.count > 1 and isinstance(network, nn.Module) else ():
            set_sync = getattr(module, "set_requires_gradient_sync", None)  # FSDP's modules have it
            if set_sync is not None:
                set_sync(is_last, recurse=False)
        return nullcontext()

    def clip_gradients(self, weights: Sequence[Tensor], limit: float) -> Tensor:
        """Scale the whole gradient down to a norm of ``limit``, wherever its parts are; the norm before comes back."""
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        shares = [gradient.to_local() for gradient in gradients if hasattr(gradient, "to_local")]
        if not shares:
            return torch.nn.utils.clip_grad_norm_(weights, limit)
        whole = [gradient for gradient in gradients if not hasattr(gradient, "to_local")]
        squares = self.sum(get_total_norm(shares).square()) + get_total_norm(whole).square()
        norm = squares.sqrt()
        for gradient in (*shares, *whole):
            gradient.mul_((limit / (norm + 1e-6)).clamp(max=1.0))
        return norm


ALONE = Processes()


def broadcast_object(value: T, processes: Processes) -> T:
    """The first process's value, on all."""
    if processes.count == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]
