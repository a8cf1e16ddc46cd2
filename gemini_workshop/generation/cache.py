"""What a layer need not compute twice: the keys and values of the tokens that were read before.

A query only ever looks back, so the key and the value of a token never change once they are computed. The
memory for them is set aside at the start; appending writes into the next free places and nothing is ever
copied.
"""

from collections.abc import Sequence
from typing import overload

import torch
from jaxtyping import Float
from torch import Tensor

from gemini_workshop.config import ModelConfig
from gemini_workshop.errors import WorkshopError


class LayerCache:
    """The keys and values of one layer."""

    def __init__(self, keys: Float[Tensor, "B K max_tokens C"], values: Float[Tensor, "B K max_tokens C"]) -> None:
        self.keys, self.values = keys, values
        self.num_tokens = 0

    def __len__(self) -> int:
        return self.num_tokens

    def append(
        self, key: Float[Tensor, "B K T C"], value: Float[Tensor, "B K T C"]
    ) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S C"]]:
        """Store the new keys and values; return views of all that are stored, oldest first.

        Raises:
            WorkshopError: they do not fit.
        """
        start, end, room = self.num_tokens, self.num_tokens + key.shape[2], self.keys.shape[2]
        if end > room:
            raise WorkshopError(
                f"The cache holds {room} tokens and {start} are used, so {end - start} more do not fit. "
                f"Build it with max_tokens >= {end}."
            )
        self.keys[:, :, start:end] = key
        self.values[:, :, start:end] = value
        self.num_tokens = end
        return self.keys[:, :, :end], self.values[:, :, :end]


class KVCache(Sequence[LayerCache]):
    """One :class:`LayerCache` for each layer of a model."""

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int,
        max_tokens: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (batch_size, config.num_kv_heads, max_tokens, config.head_dim)
        self.layers = [
            LayerCache(torch.empty(shape, dtype=dtype, device=device), torch.empty(shape, dtype=dtype, device=device))
            for _ in range(config.num_layers)
        ]

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, index: int) -> LayerCache: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[LayerCache]: ...
    def __getitem__(self, index: int | slice) -> LayerCache | Sequence[LayerCache]:
        return self.layers[index]

    def num_bytes(self) -> int:
        """Memory set aside, whether used or not."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.layers)
