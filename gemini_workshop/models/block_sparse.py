"""Block-sparse attention: scores are computed only for the blocks that a mask shows, and cost what they count.

    queries of block i  .  keys of the blocks that i sees, one after the other

Source: Child et al. 2019, arXiv:1904.10509, section 5.5.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gemini_workshop.errors import WorkshopError
from gemini_workshop.models.attention import grouped_query_attention
from gemini_workshop.models.masks import causal_mask


def block_sparse_attention(
    query: Float[Tensor, "B H T C"],
    key: Float[Tensor, "B K T C"],
    value: Float[Tensor, "B K T Cv"],
    block_mask: Bool[Tensor, "blocks blocks"],
    block_tokens: int,
) -> Float[Tensor, "B H T Cv"]:
    """Causal attention among the blocks that see each other; inside its own block a token sees no later one.

    Args:
        block_mask: True where the queries of a block may attend to the keys of another, such as
            :func:`~gemini_workshop.models.masks.block_sparse_mask`. The last block may be shorter than the others.

    Raises:
        WorkshopError: the mask has another number of blocks than the text, a block sees a later one, or not itself.
    """
    _check(block_mask, block_tokens, query.shape[2])
    queries, keys, values = (x.split(block_tokens, dim=2) for x in (query, key, value))
    outputs = []
    for block, sees in enumerate(block_mask.tolist()):
        visible = [earlier for earlier in range(block + 1) if sees[earlier]]
        visible_keys = torch.cat([keys[i] for i in visible], dim=2)
        visible_values = torch.cat([values[i] for i in visible], dim=2)
        mask = causal_mask(queries[block].shape[2], visible_keys.shape[2], device=query.device)
        outputs.append(grouped_query_attention(queries[block], visible_keys, visible_values, mask))
    return torch.cat(outputs, dim=2)


def _check(block_mask: Tensor, block_tokens: int, num_tokens: int) -> None:
    needed, given = -(-num_tokens // block_tokens), len(block_mask)
    if given != needed:
        raise WorkshopError(
            f"a mask of {given} blocks does not fit {num_tokens} tokens in blocks of {block_tokens}: "
            f"there are {needed}. Build the mask for {needed} blocks."
        )
    if block_mask.triu(1).any():
        row, column = block_mask.triu(1).nonzero()[0].tolist()
        raise WorkshopError(
            f"block {row} sees block {column}, which is later: a decoder does not look ahead. "
            "Clear what lies above the diagonal: block_mask.tril()."
        )
    if not block_mask.diagonal().all():
        blind = int((~block_mask.diagonal()).nonzero()[0])
        raise WorkshopError(
            f"block {blind} does not see itself, so some of its tokens may see nothing. Set the diagonal of the mask."
        )
