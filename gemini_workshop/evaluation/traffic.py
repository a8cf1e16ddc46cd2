"""Count the numbers that operations move, on any machine: a model of the slow and the fast memory of a GPU.

Only a little memory sits beside the cores; everything else is far away, and fetching it takes longer than computing
with it. So here each operation of PyTorch reads its arguments from where they are, and leaves its result there:

    in fast memory   a result that is small enough to fit
    in slow memory   a larger result, and whatever was there before

Only floating-point numbers count. A mask is a rule that a kernel works out from positions.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

PRODUCTS = ("mm", "bmm")
CHOICES = ("index", "index_select", "gather")  # read what they choose, and not all of what they choose from


class MemoryTraffic(TorchDispatchMode):
    """While it is on, counts what the operations of PyTorch move between slow and fast memory.

    Args:
        fast_numbers: a result of at most so many numbers stays in fast memory.

    Attributes:
        numbers_read: fetched from slow memory; ``numbers_written`` were sent there.
        numbers_made: in the results of all operations, wherever they are; ``largest_made`` in the largest of them.
        flops: multiplications and additions of matrix products, of which an (m, n) times an (n, k) takes 2mnk.
    """

    def __init__(self, fast_numbers: int) -> None:
        super().__init__()
        self.fast_numbers = fast_numbers
        self.numbers_read = self.numbers_written = self.numbers_made = self.largest_made = self.flops = 0
        self._is_fast: dict[int, bool] = {}  # by the address of the numbers; an address that is used again is new

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch asks whether to guard against its compiler, and would spend seconds on loading it."""
        return False

    @property
    def traffic(self) -> int:
        """Numbers moved in both directions."""
        return self.numbers_read + self.numbers_written

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and count its arguments and its results; a view moves nothing."""
        given = _floating((args, kwargs))
        result = function(*args, **(kwargs or {}))
        name = function.__name__.split(".")[0]
        places = {_address(x) for x in given}
        made = [x for x in _floating(result) if _address(x) not in places or name[-1] == "_"]
        if made or not _floating(result):
            slow = [x for x in given if not self._is_fast.get(_address(x), False)]
            read = made if name in CHOICES and slow else slow
            self.numbers_read += sum(x.numel() for x in read)
        for x in made:
            self._count(x)
        self.flops += _flops(name, given, made)
        return result

    def _count(self, made: Tensor) -> None:
        self.numbers_made += made.numel()
        self.largest_made = max(self.largest_made, made.numel())
        is_fast = self._is_fast[_address(made)] = made.numel() <= self.fast_numbers
        self.numbers_written += 0 if is_fast else made.numel()


def _flops(name: str, given: Sequence[Tensor], made: Sequence[Tensor]) -> int:
    """Of a product of matrices, or of attention in one kernel, which has two products per head."""
    if name in PRODUCTS:
        return 2 * made[0].numel() * given[0].shape[-1]
    return 4 * given[0].numel() * given[1].shape[-2] if "scaled_dot_product" in name else 0


def _floating(values: Any) -> list[Tensor]:
    return [x for x in tree_leaves(values) if isinstance(x, Tensor) and x.is_floating_point()]


def _address(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()
