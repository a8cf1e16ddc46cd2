"""The keys and values of one layer: in room of a fixed size, in growing room, or in a ring."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.storage import Storage

CacheKind = Literal["static", "growing", "ring"]
FIRST_ROOM = 64  # tokens for which a growing cache allocates memory at the start
SPARE_TOKENS = 64  # tokens that a ring keeps beyond its window: as many of the newest can be truncated


class LayerCache:
    """The keys and values of one layer, in room allocated at the start."""

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
            WorkshopError: they do not fit, and this cache does not grow.
        """
        start, end = self.num_tokens, self.num_tokens + key.shape[2]
        self.make_room(end)
        self.keys.write(start, key)
        self.values.write(start, value)
        self.num_tokens = end
        return self.stored()

    def stored(self) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
        """What the last :meth:`append` returned, for layers that use the keys and values of this one."""
        return self.keys.read(0, self.num_tokens), self.values.read(0, self.num_tokens)

    def truncate(self, num_tokens: int) -> None:
        """Keep the first ``num_tokens`` tokens; the next ones overwrite the others."""
        self.num_tokens = min(self.num_tokens, num_tokens)

    def reorder(self, rows: Int[Tensor, " new_B"]) -> None:
        """Make row i what row ``rows[i]`` was; rows may be repeated or left out, and their number may change."""
        self.keys.reorder(rows)
        self.values.reorder(rows)

    def join(self, other: "LayerCache") -> None:
        """Take in the rows of another cache below one's own; the newest tokens of both end together."""
        self.keys.join(other.keys, self.num_tokens, other.num_tokens)
        self.values.join(other.values, self.num_tokens, other.num_tokens)
        self.num_tokens = max(self.num_tokens, other.num_tokens)

    def forget(self, num_tokens: int) -> None:
        """Drop the first tokens of every row, which were padding."""
        self.keys.forget(num_tokens, self.num_tokens)
        self.values.forget(num_tokens, self.num_tokens)
        self.num_tokens -= num_tokens

    def num_bytes(self) -> int:
        """Memory allocated, whether used or not."""
        return self.keys.num_bytes() + self.values.num_bytes()

    def make_room(self, needed: int) -> None:
        """Make sure that ``needed`` tokens fit.

        Raises:
            WorkshopError: they do not.
        """
        if needed > self.keys.room:
            raise WorkshopError(
                f"The cache has room for {self.keys.room} tokens and holds {self.num_tokens}, so "
                f"{needed - self.num_tokens} more do not fit. Build it with max_tokens >= {needed}, or kind='growing'."
            )


class GrowingLayerCache(LayerCache):
    """Room that doubles whenever it is full: on average, each token is moved once, however long the text."""

    def make_room(self, needed: int) -> None:
        """Make sure that ``needed`` tokens fit: move to twice the room if they do not."""
        if needed > self.keys.room:
            room = max(needed, 2 * self.keys.room)
            self.keys.grow(room)
            self.values.grow(room)


class RingLayerCache(LayerCache):
    """The newest tokens only, for a layer that sees a window of them: constant memory for an endless text.

    Tokens lie in order in room for what a query sees before its own (``window_tokens - 1``) and twice SPARE_TOKENS.
    When it is full, some move to the front: the newest SPARE_TOKENS, and before them what a query sees before its own.
    The older ones are forgotten:

        first = 0   [0 1 2 3 4 5 6 7 8 9]      10 does not fit
        first = 5   [5 6 7 8 9 10 . . . .]     window 3, SPARE_TOKENS 4: a query sees 2 before its own

    So what a query sees is always one slice, oldest first, and the move is rare enough to cost next to nothing. The
    newest SPARE_TOKENS can be taken back (:meth:`truncate`): what the next query then sees is still there.

    Attributes:
        seen_before: tokens that a query sees before its own.
        first: index in the text of the token in the first place.
        num_new: tokens of the latest :meth:`append`: the first of them sees the farthest back.
        overflow: what the latest append returns if its tokens did not fit: they may be more than the room.
    """

    def __init__(self, keys: Storage, values: Storage, window_tokens: int) -> None:
        super().__init__(keys, values)
        self.seen_before = window_tokens - 1
        self.first = self.num_new = 0
        self.overflow: tuple[Tensor, Tensor] | None = None

    def append(
        self, key: Float[Tensor, "B K T C"], value: Float[Tensor, "B K T Cv"]
    ) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
        """Store the new keys and values; return all that their queries may see, oldest first."""
        self.num_new, self.overflow = key.shape[2], None
        place, end = self.num_tokens - self.first, self.num_tokens + key.shape[2]
        if end - self.first > self.keys.room:
            self._move_to_front(key, value)
        else:
            self.keys.write(place, key)
            self.values.write(place, value)
        self.num_tokens = end
        return self.stored()

    def stored(self) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
        """What the last :meth:`append` returned."""
        if self.overflow is not None:
            return self.overflow
        end = self.num_tokens - self.first
        start = max(end - self.num_new - self.seen_before, 0)
        return self.keys.read(start, end), self.values.read(start, end)

    def truncate(self, num_tokens: int) -> None:
        """Keep the first ``num_tokens`` tokens.

        Raises:
            WorkshopError: the ring has forgotten some of what the next token would see.
        """
        if num_tokens >= self.num_tokens:
            return
        if self.first > max(num_tokens - self.seen_before, 0) and num_tokens > 0:
            raise WorkshopError(
                f"Of {self.num_tokens} tokens, a ring kept the last {self.num_tokens - self.first}: too few to go back "
                f"to {num_tokens}. Truncate to 0 and read the text again."
            )
        self.num_tokens, self.overflow = num_tokens, None
        self.first = min(self.first, num_tokens)

    def reorder(self, rows: Int[Tensor, " new_B"]) -> None:
        """Make row i what row ``rows[i]`` was; rows may be repeated or left out, and their number may change."""
        super().reorder(rows)
        self.overflow = None

    def _move_to_front(self, key: Tensor, value: Tensor) -> None:
        """Bring the newest tokens to the front, and leave room for new ones behind them.

        The new ones may be more than there is room for, as a prompt is. So what they see is not read from there.
        """
        held = self.num_tokens - self.first
        keys = torch.cat([self.keys.read(0, held), key], dim=2)
        values = torch.cat([self.values.read(0, held), value], dim=2)
        num_kept = min(self.seen_before + SPARE_TOKENS, keys.shape[2])
        self.keys.write(0, keys[:, :, -num_kept:])
        self.values.write(0, values[:, :, -num_kept:])
        self.first = self.num_tokens + self.num_new - num_kept
        num_visible = self.num_new + self.seen_before
        self.overflow = keys[:, :, -num_visible:], values[:, :, -num_visible:]


def room_and_kind(
    window_tokens: int | None, max_tokens: int | None, kind: CacheKind
) -> tuple[int, Callable[[Storage, Storage], LayerCache]]:
    """How many tokens a layer allocates room for, and the class of its cache."""
    if kind == "ring" and window_tokens is not None:
        room = window_tokens - 1 + 2 * SPARE_TOKENS
        if max_tokens is None or room < max_tokens:
            return room, partial(RingLayerCache, window_tokens=window_tokens)
    if kind == "growing" or max_tokens is None:
        return max_tokens or FIRST_ROOM, GrowingLayerCache
    return max_tokens, LayerCache
