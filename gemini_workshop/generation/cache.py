"""What a layer need not compute twice: the keys and values of the tokens that were read before.

A query only ever looks back, so the key and the value of a token never change once they are computed. Three ways to
keep them, all with the same methods:

    static    room for max_tokens, set aside at the start; appending writes into the next free places
    growing   room that doubles whenever it is full, for texts of which nobody knows the length
    ring      a layer that sees a window of tokens keeps a window, however long the text; other layers as above

    cache = new_cache(model, batch_size=1, max_tokens=256)
    model(token_ids, cache)      goes on after cache.num_tokens tokens
    cache.truncate(n)            forget all but the oldest n: a rejected draft, a chat that goes on from an earlier turn
    cache.reorder(rows)          row i becomes the old row rows[i]: beams
    cache.num_bytes()            memory set aside

What is stored for a token is the model's affair: keys and values of some heads, one latent vector (multi-head latent
attention), or nothing at all, where a layer borrows those of an earlier one. In 8 bits it takes a
quarter of the memory.
"""

from collections.abc import Sequence
from typing import Literal, overload

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.config import LayerConfig, ModelConfig
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.storage import Int8Storage, Storage
from gemini_workshop.models.attention_layers import stored_shapes
from gemini_workshop.models.transformer import Transformer

Kind = Literal["static", "growing", "ring"]
FIRST_ROOM = 64  # tokens for which a growing cache sets memory aside at the start
SPARE_TOKENS = 64  # tokens beyond its window that a ring keeps, so that as many of the newest can be forgotten again


class LayerCache:
    """The keys and values of one layer, in room set aside at the start."""

    def __init__(self, keys: Storage, values: Storage) -> None:
        self.keys, self.values = keys, values
        self.num_tokens = 0

    def __len__(self) -> int:
        return self.num_tokens

    def append(
        self, key: Float[Tensor, "B K T C"], value: Float[Tensor, "B K T Cv"]
    ) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
        """Store the new keys and values; return all that their queries may see, oldest first.

        Raises:
            WorkshopError: they do not fit.
        """
        start, end = self.num_tokens, self.num_tokens + key.shape[2]
        self.make_room(end)
        self.keys.write(start, key)
        self.values.write(start, value)
        self.num_tokens = end
        return self.stored()

    def stored(self) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
        """What the last :meth:`append` returned."""
        return self.keys.read(0, self.num_tokens), self.values.read(0, self.num_tokens)

    def truncate(self, num_tokens: int) -> None:
        """Forget all but the oldest so many tokens; the next ones are written over the others."""
        self.num_tokens = min(self.num_tokens, num_tokens)

    def reorder(self, rows: Int[Tensor, " new_B"]) -> None:
        """Let row i be what row ``rows[i]`` was; rows may be repeated, left out, more or fewer than before."""
        self.keys.reorder(rows)
        self.values.reorder(rows)

    def num_bytes(self) -> int:
        """Memory set aside, whether used or not."""
        return self.keys.num_bytes() + self.values.num_bytes()

    def make_room(self, needed: int) -> None:
        """See that so many tokens fit.

        Raises:
            WorkshopError: they do not.
        """
        if needed > self.keys.room:
            raise WorkshopError(
                f"The cache holds {self.keys.room} tokens and {self.num_tokens} are used, so "
                f"{needed - self.num_tokens} more do not fit. Build it with max_tokens >= {needed}, or kind='growing'."
            )


class GrowingLayerCache(LayerCache):
    """Room that doubles whenever it is full: a token is moved about once, however long the text becomes."""

    def make_room(self, needed: int) -> None:
        """See that so many tokens fit: move to twice the room if they do not."""
        if needed > self.keys.room:
            room = max(needed, 2 * self.keys.room)
            self.keys.grow(room)
            self.values.grow(room)


class RingLayerCache(LayerCache):
    """The newest tokens only, for a layer that sees a window of them: constant memory for an endless text.

    Tokens lie one after the other in room for a little more than a window. When it is full, the newest move to its
    beginning and the others are forgotten. So what a query sees is always one piece, oldest first, and the move is
    rare enough to cost next to nothing.
    """

    def __init__(self, keys: Storage, values: Storage, window_tokens: int) -> None:
        super().__init__(keys, values)
        self.seen_before = window_tokens - 1  # a query sees so many tokens before its own
        self.first = 0  # number of the token in the first place
        self.newest: tuple[Tensor, Tensor] | None = None  # what append returned, if there was no room for it
        self.num_new = 0

    def append(
        self, key: Float[Tensor, "B K T C"], value: Float[Tensor, "B K T Cv"]
    ) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
        """Store the new keys and values; return all that their queries may see, oldest first."""
        self.num_new, self.newest = key.shape[2], None
        if self.num_tokens + self.num_new - self.first > self.keys.room:
            self._move_along(key, value)
        else:
            self.keys.write(self.num_tokens - self.first, key)
            self.values.write(self.num_tokens - self.first, value)
            self.num_tokens += self.num_new
        return self.stored()

    def stored(self) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
        """What the last :meth:`append` returned."""
        if self.newest is not None:
            return self.newest
        end = self.num_tokens - self.first
        start = max(end - self.num_new - self.seen_before, 0)
        return self.keys.read(start, end), self.values.read(start, end)

    def truncate(self, num_tokens: int) -> None:
        """Forget all but the oldest so many tokens.

        Raises:
            WorkshopError: what the next token should see was forgotten before.
        """
        if num_tokens >= self.num_tokens:
            return
        if self.first > max(num_tokens - self.seen_before, 0) and num_tokens > 0:
            raise WorkshopError(
                f"Of {self.num_tokens} tokens, a ring kept the last {self.num_tokens - self.first}: too few to go back "
                f"to {num_tokens}. Truncate to 0 and read the text again."
            )
        self.num_tokens, self.newest = num_tokens, None
        self.first = min(self.first, num_tokens)

    def reorder(self, rows: Int[Tensor, " new_B"]) -> None:
        """Let row i be what row ``rows[i]`` was; rows may be repeated, left out, more or fewer than before."""
        super().reorder(rows)
        self.newest = None

    def _move_along(self, key: Tensor, value: Tensor) -> None:
        """Bring the newest tokens to the beginning, and leave room for new ones behind them."""
        end = self.num_tokens + self.num_new
        held = self.num_tokens - self.first
        keys = torch.cat([self.keys.read(0, held), key], dim=2)
        values = torch.cat([self.values.read(0, held), value], dim=2)
        kept = min(self.seen_before + SPARE_TOKENS, keys.shape[2])
        self.keys.write(0, keys[:, :, -kept:])
        self.values.write(0, values[:, :, -kept:])
        visible = self.num_new + self.seen_before
        self.newest = keys[:, :, -visible:], values[:, :, -visible:]
        self.num_tokens, self.first = end, end - kept


class KVCache(Sequence[LayerCache]):
    """One :class:`LayerCache` for each layer of a model; a layer that borrows keys and values has the lender's.

    Args:
        max_tokens: most tokens of a static cache, and of the layers of a ring that see everything; None: they grow.
        kind: how the tokens are kept; see the top of this file.
        is_int8: keep numbers in 8 bits, a quarter of the memory of float32.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int,
        max_tokens: int | None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        *,
        kind: Kind = "static",
        is_int8: bool = False,
    ) -> None:
        storage = Int8Storage if is_int8 else Storage

        def make(layer: LayerConfig) -> LayerCache:
            def places(room: int) -> tuple[Storage, Storage]:
                shapes = stored_shapes(config, layer)
                keys, values = (storage(batch_size, heads, room, channels, dtype, device) for heads, channels in shapes)
                return keys, values

            window = layer.window_tokens
            if kind == "ring" and window is not None:
                room = window - 1 + 2 * SPARE_TOKENS
                if max_tokens is None or room < max_tokens:
                    return RingLayerCache(*places(room), window_tokens=window)
            if kind == "growing" or max_tokens is None:
                return GrowingLayerCache(*places(max_tokens or FIRST_ROOM))
            return LayerCache(*places(max_tokens))

        self.layers: list[LayerCache] = []
        for layer in config.layers:
            self.layers.append(self.layers[layer.kv_source] if layer.borrows_kv else make(layer))

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
        """Forget all but the oldest so many tokens."""
        for layer in set(self.layers):
            layer.truncate(num_tokens)

    def reorder(self, rows: Int[Tensor, " new_B"]) -> None:
        """Let row i be what row ``rows[i]`` was; rows may be repeated, left out, more or fewer than before."""
        for layer in set(self.layers):
            layer.reorder(rows)

    def num_bytes(self) -> int:
        """Memory set aside, whether used or not; what layers share counts once."""
        return sum(layer.num_bytes() for layer in set(self.layers))


def new_cache(
    model: Transformer,
    batch_size: int = 1,
    max_tokens: int | None = None,
    *,
    kind: Kind = "static",
    dtype: torch.dtype | None = None,
    is_int8: bool = False,
) -> KVCache:
    """An empty cache in the model's number format and on its device.

    Args:
        max_tokens: most tokens that it must hold; None: as many as the model was trained on, or without a limit where
            the kind allows it.
    """
    weight = model.embedding.weight
    if max_tokens is None and kind == "static":
        max_tokens = model.config.context_tokens
    return KVCache(
        model.config, batch_size, max_tokens, dtype or weight.dtype, weight.device, kind=kind, is_int8=is_int8
    )


def reuse_prefix(cache: KVCache, cached_ids: Sequence[int], ids: Sequence[int]) -> Sequence[int]:
    """Keep of the cache what a new text begins with; return the rest of the text, which has to be read.

    At least one token is left to read, because its scores are wanted: the same text again costs one token.

    Args:
        cached_ids: what the cache holds.
        ids: the new text from its beginning: in a chat, all turns so far.
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
    """Prompts of unequal length as one batch that ends together, and the segment of each token: 0 padding, 1 text.

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
    return torch.tensor(token_ids, device=device), torch.tensor(segment_ids, device=device)
