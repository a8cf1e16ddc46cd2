"""Which query may attend to which key. Masks are boolean and True means "may attend", as in PyTorch."""

import torch
from jaxtyping import Bool, Float, Int
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


def sliding_window_mask(
    num_queries: int, num_keys: int, window_tokens: int, *, device: torch.device | None = None
) -> Bool[Tensor, "T S"]:
    """Each query may look at the last ``window_tokens`` keys, its own included.

        sliding_window_mask(4, 5, window_tokens=3)      keys 0 1 2 3 4
                                            query of key 1   # # . . .
                                            query of key 2   # # # . .
                                            query of key 3   . # # # .
                                            query of key 4   . . # # #

    Raises:
        WorkshopError: the window is empty, or there are more queries than keys.
    """
    if window_tokens < 1:
        raise WorkshopError(
            f"window_tokens={window_tokens} leaves a query nothing to look at. A window counts the query's own key: "
            "use 1 or more."
        )
    return causal_mask(num_queries, num_keys, device=device).triu(num_keys - num_queries - window_tokens + 1)


def segment_mask(segment_ids: Int[Tensor, "B S"], num_queries: int) -> Bool[Tensor, "B T S"]:
    """Each query may look at the keys of its own segment: documents that share a row do not see each other.

    The queries are the last ``num_queries`` tokens. Future ones are not hidden: ``& causal_mask(...)`` does that.

        segment_mask([[7, 7, 8, 8, 8]], 4)      segments 7 7 8 8 8
                                      query of segment 7 # # . . .
                                      query of segment 8 . . # # #
                                      query of segment 8 . . # # #
                                      query of segment 8 . . # # #
    """
    asking = segment_ids[:, segment_ids.shape[1] - num_queries :]
    return asking[:, :, None] == segment_ids[:, None, :]


def multimodal_mask(image_ids: Int[Tensor, "B S"], num_queries: int) -> Bool[Tensor, "B T S"]:
    """Causal, save that every patch of an image sees the whole image.

    The patches of an image were there at the same moment: none of them lies in the future of another.

        multimodal_mask([[0, 1, 1, 0, 2, 2]], 6)      image 0 1 1 0 2 2
                                      query of text 0       # . . . . .
                                      query of image 1      # # # . . .
                                      query of image 1      # # # . . .
                                      query of text 0       # # # # . .
                                      query of image 2      # # # # # #
                                      query of image 2      # # # # # #

    Args:
        image_ids: which image each token belongs to, counted from 1; 0 for text and audio.

    Source: Gemma Team 2025, arXiv:2503.19786, section 2; the modeling file of Gemma 3 in transformers 5.24.0.
    """
    num_keys = image_ids.shape[1]
    asking = image_ids[:, num_keys - num_queries :, None]
    same_image = (asking == image_ids[:, None, :]) & (asking > 0)
    return causal_mask(num_queries, num_keys, device=image_ids.device) | same_image


def block_sparse_mask(
    num_blocks: int, *, local_blocks: int, stride_blocks: int, device: torch.device | None = None
) -> Bool[Tensor, "blocks blocks"]:
    """Which blocks of tokens see which: the last few, and of all earlier ones every ``stride_blocks``-th.

    What a block does not see reaches it in two steps, through a block that everybody sees.

        block_sparse_mask(7, local_blocks=2, stride_blocks=3)      blocks 0 1 2 3 4 5 6
                                                             queries of block 0   # . . . . . .
                                                             queries of block 1   # # . . . . .
                                                             queries of block 2   . # # . . . .
                                                             queries of block 3   . . # # . . .
                                                             queries of block 4   . . # # # . .
                                                             queries of block 5   . . # . # # .
                                                             queries of block 6   . . # . . # #

    Source: Child et al. 2019, arXiv:1904.10509, section 4.3: the local part, and the columns of the "fixed" pattern.
    Differs: whole blocks instead of tokens; the local part is a band, as in the strided pattern, not the block's own
    group.

    Raises:
        WorkshopError: a count is below 1.
    """
    if min(local_blocks, stride_blocks) < 1:
        raise WorkshopError(
            f"local_blocks={local_blocks}, stride_blocks={stride_blocks}: a block sees at least itself, and a stride "
            "is at least one block. Use 1 or more for both."
        )
    seen_by_all = torch.arange(num_blocks, device=device) % stride_blocks == stride_blocks - 1
    local = sliding_window_mask(num_blocks, num_blocks, local_blocks, device=device)
    return local | (causal_mask(num_blocks, num_blocks, device=device) & seen_by_all)


def token_mask(block_mask: Bool[Tensor, "blocks blocks"], block_tokens: int) -> Bool[Tensor, "T T"]:
    """The mask of tokens that a mask of blocks stands for; inside its own block a token still sees no later one.

    token_mask([[#, .], [#, #]], 2)      keys 0 1 2 3
                                    query 0   # . . .
                                    query 1   # # . .
                                    query 2   # # # .
                                    query 3   # # # #
    """
    tokens = block_mask.repeat_interleave(block_tokens, 0).repeat_interleave(block_tokens, 1)
    return tokens.tril()


def additive_mask(mask: Bool[Tensor, "*B T S"], dtype: torch.dtype = torch.float32) -> Float[Tensor, "*B T S"]:
    """The same mask as numbers to add to the scores: 0 where a query may attend, else minus infinity."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, float("-inf"))
