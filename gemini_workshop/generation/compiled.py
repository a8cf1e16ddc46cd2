"""The decoding step as one compiled program: no Python between its operations, and fewer of them.

PyTorch translates the model into C++ at the first step, which takes about as long as writing some thousand tokens, so
it pays for long texts and many of them. From the second length on, how many tokens the cache holds is a variable of the
program: it is translated for the first length, for all others, and for a cache that is full, but not for every length.
"""

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import KVCache, RingLayerCache
from gemini_workshop.generation.storage import Int8Storage
from gemini_workshop.models.attention_layers import KeyValueStore
from gemini_workshop.models.transformer import Transformer


class CompiledDecoder(Transformer):
    """A model that reads single tokens by a compiled program, and everything else as before.

    Rings, 8-bit caches and padded rows are read as before, too.

    Args:
        model: shares its weights with this one.
    """

    def __init__(self, model: Transformer) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(copy.copy(model).__dict__)
        self.step = torch.compile(_step)

    def forward(
        self,
        token_ids: Int[Tensor, "B T"],
        cache: Sequence[KeyValueStore] | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """As the model it is made from.

        Raises:
            WorkshopError: there is no C++ compiler to translate the program with.
        """
        if not (isinstance(cache, KVCache) and token_ids.shape[1] == 1 and segment_ids is None and _is_plain(cache)):
            return super().forward(token_ids, cache, segment_ids)
        end = cache.num_tokens + 1
        if end < 3:  # sizes 0 and 1 are no variables to the compiler
            return super().forward(token_ids, cache)
        places = []
        for layer in cache:
            layer.make_room(end)
            places.append((layer.keys.read(0, end), layer.values.read(0, end)))
        try:
            logits = self.step(self, token_ids, places)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise WorkshopError(
                f"The decoding step cannot be compiled here: {str(error).strip().splitlines()[0]} PyTorch needs a C++ "
                "compiler (g++, clang++ or cl). Install one, or decode without compiling."
            ) from error
        for layer in set(cache):
            layer.num_tokens = end
        return logits


class LastPlace:
    """A layer's keys and values with the place of the next token at the end, still to be filled."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values = keys, values

    def __len__(self) -> int:
        return self.keys.shape[2] - 1

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Fill the place."""
        self.keys[:, :, -1:] = key
        self.values[:, :, -1:] = value
        return self.stored()

    def stored(self) -> tuple[Tensor, Tensor]:
        """All keys and values."""
        return self.keys, self.values


def _step(model: Transformer, token_ids: Tensor, places: list[tuple[Tensor, Tensor]]) -> Tensor:
    return Transformer.forward(model, token_ids, [LastPlace(keys, values) for keys, values in places])


def _is_plain(cache: KVCache) -> bool:
    return not any(isinstance(layer, RingLayerCache) or isinstance(layer.keys, Int8Storage) for layer in cache)
