"""The KV cache: keys and values of the tokens read so far, so that no layer computes them twice.

A query only ever looks back, so the key and the value of a token never change once they are computed. There are three
ways to keep those of a layer (:mod:`.layer_cache`), all with the same methods:

    static    room for max_tokens, allocated at the start; appending writes into the next free places
    growing   room that doubles whenever it is full, for texts of unknown length
    ring      a layer with a sliding window keeps little more than a window, however long the text; others as above

    cache = new_cache(model, batch_size=1, max_tokens=256)
    model(token_ids, cache)      continues after cache.num_tokens tokens
    cache.truncate(n)            keep the first n tokens: after a rejected draft, or to resume at an earlier turn
    cache.reorder(rows)          row i becomes the old row rows[i]: beams
    cache.join(other)            the rows of another cache below one's own: a text that begins while others are written
    cache.num_bytes()            memory allocated

What is stored for a token depends on the model: keys and values of some heads, one latent vector (multi-head latent
attention), or nothing, where a layer borrows those of an earlier one. In 8 bits it takes a quarter of the memory.
"""

from collections.abc import Sequence
from typing import overload

import torch
from jaxtyping import Int
from torch import Tensor

from gemini_workshop.config import LayerConfig, ModelConfig
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.layer_cache import CacheKind, LayerCache, room_and_kind
from gemini_workshop.generation.storage import Int8Storage, Storage
from gemini_workshop.models.attention_layers import stored_shapes
from gemini_workshop.models.transformer import Transformer


class KVCache(Sequence[LayerCache]):
    """One :class:`LayerCache` per layer of a model; a layer that borrows keys and values has the lender's.

    Args:
        max_tokens: capacity of a static cache, and of the layers of a ring that see everything; None: they grow.
        kind: how the tokens are kept; see the top of this file.
        is_int8: store 8-bit numbers, a quarter of the memory of float32.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int,
        max_tokens: int | None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        *,
        kind: CacheKind = "static",
        is_int8: bool = False,
    ) -> None:
        def new_storage(layer: LayerConfig, room: int) -> list[Storage]:
            make = Int8Storage if is_int8 else Storage
            shapes = stored_shapes(config, layer)
            return [make(batch_size, heads, room, channels, dtype, device) for heads, channels in shapes]

        self.layers: list[LayerCache] = []
        for layer in config.layers:
            if layer.borrows_kv:
                self.layers.append(self.layers[layer.kv_source])
                continue
            room, make_cache = room_and_kind(layer.window_tokens, max_tokens, kind)
            self.layers.append(make_cache(*new_storage(layer, room)))

    def __len__(self) -> int:
        return len(self.layers)

    @overload
    def __getitem__(self, index: int) -> LayerCache: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[LayerCache]: ...
    def __getitem__(self, index: int | slice) -> LayerCache | Sequence[LayerCache]:
        return self.layers[index]

    @property
    def num_tokens(self) -> int:
        """Tokens read so far, forgotten ones included: the position of the next one."""
        return self.layers[0].num_tokens

    def truncate(self, num_tokens: int) -> None:
        """Keep the first ``num_tokens`` tokens."""
        for layer in set(self.layers):
            layer.truncate(num_tokens)

    def reorder(self, rows: Int[Tensor, " new_B"]) -> None:
        """Make row i what row ``rows[i]`` was; rows may be repeated or left out, and their number may change."""
        for layer in set(self.layers):
            layer.reorder(rows)

    def join(self, other: "KVCache") -> None:
        """Take in the rows of another growing cache of the model; the newest tokens of both end together."""
        for layer, joining in dict(zip(self.layers, other.layers, strict=True)).items():
            layer.join(joining)

    def forget(self, num_tokens: int) -> None:
        """Drop the first tokens of every row of a growing cache, which were padding."""
        for layer in set(self.layers):
            layer.forget(num_tokens)

    def num_bytes(self) -> int:
        """Memory allocated, whether used or not; what layers share counts once."""
        return sum(layer.num_bytes() for layer in set(self.layers))


def new_cache(
    model: Transformer,
    batch_size: int = 1,
    max_tokens: int | None = None,
    *,
    kind: CacheKind = "static",
    dtype: torch.dtype | None = None,
    is_int8: bool = False,
) -> KVCache:
    """An empty cache in the model's number format and on its device.

    Args:
        max_tokens: capacity; None: as many as the model was trained on, or without a limit where the kind allows it.
    """
    weight = model.embedding.weight
    if max_tokens is None and kind == "static":
        max_tokens = model.config.context_tokens
    return KVCache(
        model.config, batch_size, max_tokens, dtype or weight.dtype, weight.device, kind=kind, is_int8=is_int8
    )


def reuse_prefix(cache: KVCache, cached_ids: Sequence[int], ids: Sequence[int]) -> Sequence[int]:
    """Keep the cached beginning that a new text shares; return the rest of the text, which has to be read.

    At least one token is left to read, because its logits are wanted: reading the same text again costs one token.

    Args:
        cached_ids: what the cache holds.
        ids: the whole new text: in a chat, all turns so far.
    """
    num_common = next(
        (i for i, (old, new) in enumerate(zip(cached_ids, ids, strict=False)) if old != new),
        min(len(cached_ids), len(ids)),
    )
    num_kept = min(num_common, len(ids) - 1)
    try:
        cache.truncate(num_kept)
    except WorkshopError:  # a ring has forgotten too much
        num_kept = 0
        cache.truncate(num_kept)
    return ids[num_kept:]


def left_padded(
    prompts: Sequence[Sequence[int]], padding_id: int = 0, device: torch.device | str = "cpu"
) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Prompts of unequal length as one batch, padded on the left, and each token's segment: 0 padding, 1 text.

    While decoding, the segments grow by a column of ones with every token.

    Example:
        >>> left_padded([[7, 8, 9], [5]])
        (tensor([[7, 8, 9],
                [0, 0, 5]]), tensor([[1, 1, 1],
                [0, 0, 1]]))
    """
    longest = max(map(len, prompts))
    token_ids = [[padding_id] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    segment_ids = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    rows, segments = (torch.tensor(each, dtype=torch.long, device=device) for each in (token_ids, segment_ids))
    return rows, segments
