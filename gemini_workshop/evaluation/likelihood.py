"""How likely a model finds a text: the logarithm of the probability of each token, given those before it.

    naive     one pass of the model for each token, over as many tokens before it as the window holds: exact and slow
    strided   one pass for each window; windows begin ``stride`` tokens apart and each scores what no earlier one did

With a stride of 1 both are equal. With a longer one a token sees fewer of those before it, at least
context_tokens - stride (where there are so many), and its text is done stride times as fast.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.errors import DataError
from gemini_workshop.generation.cache import new_cache
from gemini_workshop.models.transformer import Transformer


@torch.inference_mode()
def naive_log_probs(model: Transformer, token_ids: Int[Tensor, " N"]) -> Float[Tensor, " N-1"]:
    """The log-probability of every token but the first, in nats, each from a pass of its own."""
    window = model.config.context_tokens
    found = []
    for place in range(1, len(token_ids)):
        before = token_ids[max(0, place - window) : place]
        found.append(_log_probs(model(before[None])[:, -1], token_ids[place : place + 1]))
    return torch.cat(found)


@torch.inference_mode()
def strided_log_probs(
    model: Transformer, token_ids: Int[Tensor, " N"], stride: int | None = None, batch_size: int = 8
) -> Float[Tensor, " N-1"]:
    """The same from overlapping windows.

    Args:
        stride: tokens between two windows, half of the context if left out.

    Raises:
        DataError: there are fewer than two tokens, or the stride leaves tokens out.
    """
    num_targets = len(token_ids) - 1
    if num_targets < 1:
        raise DataError(f"{len(token_ids)} token: nothing follows it. Use more text.")
    window = min(model.config.context_tokens, num_targets)
    stride = stride or max(1, window // 2)
    if stride > window and window == model.config.context_tokens:
        raise DataError(f"stride={stride} leaves tokens out of windows of {window}. Choose 1 to {window}.")
    last = num_targets - window
    starts = [*range(0, last, stride), last]
    log_probs = torch.empty(num_targets)
    num_scored = 0
    for first in range(0, len(starts), batch_size):
        batch = starts[first : first + batch_size]
        inputs = torch.stack([token_ids[start : start + window] for start in batch])
        targets = torch.stack([token_ids[start + 1 : start + window + 1] for start in batch])
        each = _log_probs(model(inputs), targets)
        for start, row in zip(batch, each, strict=True):
            log_probs[num_scored : start + window] = row[num_scored - start :]
            num_scored = start + window
    return log_probs


@torch.inference_mode()
def continuation_log_probs(
    model: Transformer, context: Sequence[int], continuations: Sequence[Sequence[int]]
) -> list[Float[Tensor, " T"]]:
    """For each continuation of a context: the log-probabilities of its tokens. The context is read once.

    Of a context that does not fit into the window with the longest continuation, the model reads the end.

    Raises:
        DataError: the context or a continuation is empty, or a continuation fills the window.
    """
    window, device = model.config.context_tokens, model.embedding.weight.device
    lengths = [len(continuation) for continuation in continuations]
    if not context or not all(lengths) or max(lengths, default=0) > window:
        raise DataError(
            f"A context of {len(context)} tokens and continuations of {lengths} cannot be scored: each needs one, and "
            f"a continuation has at most context_tokens={window}."
        )
    longest = max(lengths)
    context = list(context)[-(window + 1 - longest) :]  # the last token is predicted, not read
    cache = new_cache(model, max_tokens=len(context) + longest - 1)
    first_logits = model(torch.tensor([context], device=device), cache)[:, -1:].expand(len(lengths), -1, -1)
    targets = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in continuations], device=device)
    logits = first_logits
    if longest > 1:
        cache.reorder(torch.zeros(len(lengths), dtype=torch.long, device=device))
        logits = torch.cat([first_logits, model(targets[:, :-1], cache)], dim=1)
    each = _log_probs(logits, targets)  # what is behind a token does not change it
    return [row[:length] for row, length in zip(each, lengths, strict=True)]


def _log_probs(logits: Float[Tensor, "*B V"], targets: Int[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Of the targets, computed in float32, on the CPU."""
    V = logits.shape[-1]
    losses = F.cross_entropy(logits.float().reshape(-1, V), targets.long().reshape(-1), reduction="none")
    return -losses.reshape(targets.shape).cpu()
