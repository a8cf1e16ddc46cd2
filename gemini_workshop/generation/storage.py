"""Where a cache keeps its numbers: as they are, or in 8 bits.

In 8 bits, every vector of a token and head is divided by its own scale, so that its largest number becomes 127 or
-127, and rounded: no number is off by more than half a scale, 1/254 of the largest.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

INT8_MAX = 127


class Storage:
    """Places for one vector of each sequence, head and token."""

    def __init__(
        self, batch_size: int, heads: int, room: int, channels: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        self.numbers = torch.empty(batch_size, heads, room, channels, dtype=dtype, device=device)

    @property
    def room(self) -> int:
        """Tokens for which there is a place."""
        return self.numbers.shape[2]

    def write(self, start: int, x: Float[Tensor, "B K T C"]) -> None:
        """Put vectors into the places from ``start`` on."""
        self.numbers.narrow(2, start, x.shape[2]).copy_(x)

    def read(self, start: int, end: int) -> Float[Tensor, "B K S C"]:
        """A view of the places from ``start`` up to ``end``."""
        return self.numbers.narrow(2, start, end - start)

    def grow(self, room: int) -> None:
        """Move to more room."""
        self.numbers = _grown(self.numbers, room)

    def reorder(self, rows: Int[Tensor, " new_B"]) -> None:
        """Make row i what row ``rows[i]`` was."""
        self.numbers = self.numbers.index_select(0, rows)

    def join(self, other: "Storage", end: int, other_end: int) -> None:
        """Take in the sequences of another storage, so that those that end at ``end`` and ``other_end`` end together.

        Before the shorter ones come zeros.
        """
        self.numbers = _joined(self.numbers, other.numbers, end, other_end)

    def forget(self, start: int, end: int) -> None:
        """Move the places from ``start`` up to ``end`` to the front."""
        self.numbers = self.numbers[:, :, start:end].clone()

    def num_bytes(self) -> int:
        """Memory allocated."""
        return self.numbers.nbytes


class Int8Storage(Storage):
    """The same with 8 bits per number and a 32-bit scale per vector; what is read is a copy."""

    def __init__(
        self, batch_size: int, heads: int, room: int, channels: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        super().__init__(batch_size, heads, room, channels, torch.int8, device)
        self.scales = torch.empty(batch_size, heads, room, min(channels, 1), device=device)
        self.dtype = dtype

    def write(self, start: int, x: Float[Tensor, "B K T C"]) -> None:
        """Round vectors and put them into the places from ``start`` on."""
        if x.shape[-1] == 0:
            return
        scales = (x.abs().amax(dim=-1, keepdim=True).float() / INT8_MAX).clamp_min(torch.finfo(torch.float32).tiny)
        super().write(start, (x / scales).round())
        self.scales.narrow(2, start, x.shape[2]).copy_(scales)

    def read(self, start: int, end: int) -> Float[Tensor, "B K S C"]:
        """The vectors in the places from ``start`` up to ``end``."""
        scales = self.scales.narrow(2, start, end - start)
        return (self.numbers.narrow(2, start, end - start) * scales).to(self.dtype)

    def grow(self, room: int) -> None:
        """Move to more room."""
        super().grow(room)
        self.scales = _grown(self.scales, room)

    def reorder(self, rows: Int[Tensor, " new_B"]) -> None:
        """Make row i what row ``rows[i]`` was."""
        super().reorder(rows)
        self.scales = self.scales.index_select(0, rows)

    def join(self, other: Storage, end: int, other_end: int) -> None:
        """Take in the sequences of another storage, so that both end together."""
        assert isinstance(other, Int8Storage)  # a cache is of one kind
        super().join(other, end, other_end)
        self.scales = _joined(self.scales, other.scales, end, other_end)

    def forget(self, start: int, end: int) -> None:
        """Move the places from ``start`` up to ``end`` to the front."""
        super().forget(start, end)
        self.scales = self.scales[:, :, start:end].clone()

    def num_bytes(self) -> int:
        """Memory allocated."""
        return self.numbers.nbytes + self.scales.nbytes


def _grown(x: Tensor, room: int) -> Tensor:
    grown = x.new_empty(*x.shape[:2], room, x.shape[3])
    grown[:, :, : x.shape[2]] = x
    return grown


def _joined(x: Tensor, other: Tensor, end: int, other_end: int) -> Tensor:
    longest = max(end, other_end)
    joined = x.new_zeros(len(x) + len(other), x.shape[1], longest, x.shape[3])
    joined[: len(x), :, longest - end :] = x[:, :, :end]
    joined[len(x) :, :, longest - other_end :] = other[:, :, :other_end]
    return joined
