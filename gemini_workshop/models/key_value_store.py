"""Where an attention layer keeps the keys and values of earlier tokens, and where another layer can read them."""

from typing import Protocol, runtime_checkable

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


@runtime_checkable
class KeyValueStore(Protocol):
    """What a layer needs from its cache; :mod:`gemini_workshop.generation.cache` provides it."""

    def __len__(self) -> int:
        """Tokens stored so far."""
        ...

    def append(
        self, key: Float[Tensor, "B K T C"], value: Float[Tensor, "B K T Cv"]
    ) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
        """Store the new keys and values; return all of them, oldest first."""
        ...

    def stored(self) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S Cv"]]:
        """All keys and values, oldest first."""
        ...


class PassedOn:
    """Without a cache: the latest keys and values, from the layer that computes them to those that borrow them."""

    def __len__(self) -> int:
        return 0

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Remember them for the layers to come."""
        self.key, self.value = key, value
        return key, value

    def stored(self) -> tuple[Tensor, Tensor]:
        """What was passed on."""
        return self.key, self.value


def segments_of_keys(segment_ids: Int[Tensor, "B S"] | None, key: Float[Tensor, "B K S2 C"]) -> Tensor | None:
    """The segments of these keys: a store may have forgotten the oldest tokens."""
    return None if segment_ids is None else segment_ids[:, -key.shape[2] :]


def images_of_keys(image_ids: Int[Tensor, "B T"] | None, key: Float[Tensor, "B K S C"]) -> Int[Tensor, "B S"] | None:
    """The images of these keys: stored tokens belong to none."""
    return None if image_ids is None else F.pad(image_ids, (key.shape[2] - image_ids.shape[1], 0))
