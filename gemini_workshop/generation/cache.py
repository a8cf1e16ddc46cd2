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
from gemini_workshop.models.attention_layers import stored_shapes


class LayerCache:
    """The keys and values of one layer."""

    def __init__(self, keys: Float[Tensor, "B K max_tokens C"], values: Float[Tensor, "B K max_tokens Cv"]) -> None:
        self.keys, self.values = keys, values
        self.num_tokens = 0

    def __len__(self) -> int:
        return self.num_tokens

    def append(
        self, key: Float[Tensor, "B K T C"], value: Float[Tensor, "B K T Cv"]
    ) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
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
        return self.stored()

    def stored(self) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
        """Views of all that is stored, oldest first."""
        return self.keys[:, :, : self.num_tokens], self.values[:, :, : self.num_tokens]


class KVCache(Sequence[LayerCache]):
    """One :class:`LayerCache` for each layer of a model; a layer that borrows keys and values has the lender's."""

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int,
        max_tokens: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        def places(heads: int, channels: int) -> Tensor:
            return torch.empty(batch_size, heads, max_tokens, channels, dtype=dtype, device=device)

        self.layers: list[LayerCache] = []
        for layer in config.layers:
            if layer.borrows_kv:
                self.layers.append(self.layers[layer.kv_source])
            else:
                keys, values = stored_shapes(config, layer)
                self.layers.append(LayerCache(places(*keys), places(*values)))

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, index: int) -> LayerCache: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[LayerCache]: ...
    def __getitem__(self, index: int | slice) -> LayerCache | Sequence[LayerCache]:
        return self.layers[index]

    def num_bytes(self) -> int:
        """Memory set aside, whether used or not; what layers share counts once."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in set(self.layers))
