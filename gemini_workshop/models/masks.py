"""Who may look at whom. Masks are boolean and True means "may attend", PyTorch's own convention."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gemini_workshop.errors import WorkshopError


def causal_mask(num_queries: int, num_keys: int, *, device: torch.device | None = None) -> Bool[Tensor, "T S"]:
    """Each query may look at its own key and the ones before it.

    The queries are the *last* ``num_queries`` of the ``num_keys`` tokens: with a cache there are more keys
    than queries, and the newest query sees them all.

        causal_mask(3, 5)      keys 0 1 2 3 4
                   query of key 2   # # # . .
                   query of key 3   # # # # .
                   query of key 4   # # # # #

    Raises:
        WorkshopError: there are more queries than keys, so the first queries would have nothing to look at.
    """
    if num_queries > num_keys:
        raise WorkshopError(
            f"num_queries={num_queries} is more than num_keys={num_keys}: the first queries see no key. "
            "Every query brings its own key; pass the number of all keys, cached ones included."
        )
    return torch.ones(num_queries, num_keys, dtype=torch.bool, device=device).tril(num_keys - num_queries)


def additive_mask(mask: Bool[Tensor, "*B T S"], dtype: torch.dtype = torch.float32) -> Float[Tensor, "*B T S"]:
    """The same mask as numbers to add to the scores: 0 where a query may attend, else minus infinity."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, float("-inf"))
