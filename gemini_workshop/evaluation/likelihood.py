"""How likely a model finds a text: the logarithm of the probability of each token, given those before it.

The text is cut into windows that begin ``stride`` tokens apart; each scores the tokens that no earlier one did. With a
stride of 1 every token sees as many of those before it as the window holds, at the cost of a pass for each. With a
longer stride it sees at least context_tokens - stride of them, and the text is done stride times as fast.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.data.batches.batch import IGNORE_INDEX
from gemini_workshop.data.batches.rows import WindowRows
from gemini_workshop.data.batches.stream import TokenArray
from gemini_workshop.errors import DataError
from gemini_workshop.generation.cache import new_cache
from gemini_workshop.models.transformer import Transformer


@torch.inference_mode()
def strided_log_probs(
    model: Transformer, token_ids: Int[Tensor, " N"], stride: int | None = None, batch_size: int = 8
) -> Float[Tensor, " N-1"]:
    """The log-probability of every token but the first, in nats, from overlapping windows.

    Args:
        stride: tokens between two windows, half of the context if left out.

    Raises:
        DataError: there are fewer than two tokens, or the stride leaves tokens out.
    """
    num_targets = len(token_ids) - 1
    if num_targets < 1:
        raise DataError(f"{len(token_ids)} token: nothing follows it. Use more text.")
    context_tokens = min(model.config.context_tokens, num_targets)
    stride = max(1, context_tokens // 2) if stride is None else stride
    if context_tokens == num_targets:
        stride = min(stride, context_tokens)
    rows = WindowRows(TokenArray(token_ids.cpu(), model.config.vocab_size), context_tokens, stride)
    found = []
    for batch in rows.in_order(batch_size):
        log_probs = _log_probs(model(batch.inputs.to(token_ids.device)), batch.targets.to(token_ids.device))
        found.append(log_probs[batch.targets != IGNORE_INDEX])
    return torch.cat(found)


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
    each = _log_probs(logits, targets)  # what follows a token does not change it
    return [row[:length] for row, length in zip(each, lengths, strict=True)]


def _log_probs(logits: Float[Tensor, "*B V"], targets: Int[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Of the targets, computed in float32, on the CPU."""
    V = logits.shape[-1]
    losses = F.cross_entropy(logits.float().reshape(-1, V), targets.long().reshape(-1), reduction="none")
    return -losses.reshape(targets.shape).cpu()
