"""The decoding step as one compiled program: no Python between its operations, and fewer of them.

    the cache makes room for one more token, and shows its places, the last of them still empty
    the program runs the model on the token; each layer fills its last place and attends to all of them
    the cache counts the token

PyTorch translates the model into C++ at the first step, which takes about as long as decoding some thousand tokens, so
it pays for long texts and for many of them. The number of cached tokens becomes a variable of the program from the
second length on: there is one translation for the first length, one for all others, and one for a cache that is full.
"""

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import KVCache
from gemini_workshop.generation.fast.original import is_original
from gemini_workshop.generation.layer_cache import RingLayerCache
from gemini_workshop.generation.storage import Int8Storage
from gemini_workshop.models.key_value_store import KeyValueStore
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer

FEWEST_PLACES = 3  # the compiler treats sizes 0 and 1 as constants, and two places hold one cached token


def compiled_copy(model: Transformer) -> Transformer:
    """The same model, sharing all weights, which reads single tokens by a compiled program.

    Everything else is read as before: several tokens at once, padded rows, rings and 8-bit caches.

    Raises:
        WorkshopError: the model is of a class of its own, or has hooks or a ``forward`` of its own.
    """
    if not is_original(model, Transformer):
        raise WorkshopError(
            f"This {type(model).__name__} cannot be compiled: it may compute something else than Transformer. "
            "Give a Transformer without hooks and without a forward of its own, or decode without compiling."
        )
    compiled = copy.copy(model)
    compiled.forward = CompiledForward(model)  # type: ignore[method-assign]
    return compiled


class CompiledForward:
    """A model's ``forward``, in which a step by one token is a compiled program."""

    def __init__(self, model: Transformer) -> None:
        self.model = model
        self.step = torch.compile(_step)

    def __call__(
        self,
        token_ids: Int[Tensor, "B T"],
        cache: Sequence[KeyValueStore] | None = None,
        segment_ids: Int[Tensor, "B S"] | None = None,
        media: Media | None = None,
    ) -> Float[Tensor, "B T V"]:
        """What the model computes.

        Raises:
            WorkshopError: there is no C++ compiler to translate the program with.
        """
        is_step = token_ids.shape[1] == 1 and segment_ids is None and media is None
        if is_step and isinstance(cache, KVCache) and cache.num_tokens + 1 >= FEWEST_PLACES and _has_places(cache):
            return self._one_more(token_ids, cache)
        return self.model(token_ids, cache, segment_ids, media)

    def _one_more(self, token_ids: Tensor, cache: KVCache) -> Tensor:
        end = cache.num_tokens + 1
        places = []
        for layer in cache:
            layer.make_room(end)
            places.append((layer.keys.read(0, end), layer.values.read(0, end)))
        try:
            logits = self.step(self.model, token_ids, places)
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
    return model(token_ids, [LastPlace(keys, values) for keys, values in places])


def _has_places(cache: KVCache) -> bool:
    """Whether every layer keeps its tokens in order and as they are, so that a view of its numbers can be filled."""
    return not any(isinstance(layer, RingLayerCache) or isinstance(layer.keys, Int8Storage) for layer in cache)
