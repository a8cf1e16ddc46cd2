"""What training makes smaller: how surprised the model is by the token that actually comes next.

    cross_entropy = -log p(target)      in nats, averaged over the targets

A model that knows nothing pays log(V); one that always knows pays 0.

Source: label smoothing: Szegedy et al. 2015, arXiv:1512.00567, section 7; z-loss: Chowdhery et al. 2022,
arXiv:2204.02311, section 5.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from gemini_workshop.data.batches.batch import IGNORE_INDEX

NEAR_LOGITS = 2**18  # this many stay in the cache of a CPU core


def shift_targets(token_ids: Int[Tensor, "B N"]) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Inputs and targets for next-token prediction: the target of each token is the token after it.

    Example:
        >>> inputs, targets = shift_targets(torch.tensor([[5, 6, 7]]))
        >>> inputs.tolist(), targets.tolist()
        ([[5, 6]], [[6, 7]])
    """
    return token_ids[:, :-1], token_ids[:, 1:]


def cross_entropy(
    logits: Float[Tensor, "*B V"], targets: Int[Tensor, "*B"], ignore_index: int = IGNORE_INDEX
) -> Float[Tensor, ""]:
    """Mean of -log p(target) in nats over all targets that are not ``ignore_index``; zero if there are none.

    Computed in float32 at least. ``logsumexp`` keeps large logits in range, as in a stable softmax.

    Example:
        >>> cross_entropy(torch.zeros(1, 8), torch.tensor([3]))  # log(8)
        tensor(2.0794)
    """
    return token_losses(logits, targets, ignore_index=ignore_index).sum() / count_targets(targets, ignore_index).clamp(
        min=1
    )


def token_losses(
    logits: Float[Tensor, "*B V"],
    targets: Int[Tensor, "*B"],
    *,
    ignore_index: int = IGNORE_INDEX,
    label_smoothing: float = 0.0,
    z_loss_weight: float = 0.0,
) -> Float[Tensor, "*B"]:
    """What each target costs; 0 where the target is ``ignore_index``.

    Args:
        label_smoothing: fraction of the target's probability that is spread evenly over all tokens, so that the
            model is never asked for certainty.
        z_loss_weight: weight of ``logsumexp`` squared, which keeps the logits from drifting: adding a constant to
            all of them changes no probability, and costs with this.
    """
    counts = targets != ignore_index
    total, chosen = _total_and_chosen(logits, targets.where(counts, 0))
    losses = total - chosen
    if label_smoothing:
        losses = (1 - label_smoothing) * losses + label_smoothing * (total - _wide(logits).mean(dim=-1))
    if z_loss_weight:
        losses = losses + z_loss_weight * total.square()
    return losses * counts


def _total_and_chosen(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """``logsumexp`` of the logits, and the target's logit."""
    if torch.compiler.is_compiling():  # the compiler fuses these by itself
        wide = _wide(logits)
        return wide.logsumexp(dim=-1), wide.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return _TotalAndChosen.apply(logits, targets)


class _TotalAndChosen(torch.autograd.Function):
    """Logits are the largest tensor of a step. Autograd would make five more of that size, this makes their gradient.

    On a CPU it is written a few rows at a time, which stay in its cache.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        chosen = _wide(logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1))
        total = torch.cat([_wide(rows).logsumexp(dim=-1) for rows in _few_rows(logits)]).view_as(chosen)
        ctx.save_for_backward(logits, targets, total)
        return total, chosen

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total: Tensor, grad_chosen: Tensor) -> tuple[Tensor, None]:
        logits, targets, total = ctx.saved_tensors
        grad = torch.empty_like(logits, memory_format=torch.contiguous_format)  # rows are written through views
        columns = (x.reshape(-1, 1).split(_num_rows(logits)) for x in (total, grad_total, grad_chosen, targets))
        for rows, into, *column in zip(_few_rows(logits), _few_rows(grad), *columns, strict=True):
            row_total, row_grad_total, row_grad_chosen, row_targets = column
            probabilities = (_wide(rows) - row_total).exp_().mul_(row_grad_total)
            into.copy_(probabilities.scatter_add_(-1, row_targets, row_grad_chosen))
        return grad, None


def _few_rows(logits: Tensor) -> Sequence[Tensor]:
    return logits.reshape(-1, logits.shape[-1]).split(_num_rows(logits))


def _num_rows(logits: Tensor) -> int:
    return max(1, (NEAR_LOGITS if logits.device.type == "cpu" else logits.numel()) // logits.shape[-1])


def _wide(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def chunked_token_losses(
    hidden: Float[Tensor, "B T D"],
    to_logits: Callable[[Tensor], Tensor],
    targets: Int[Tensor, "B T"],
    chunk_tokens: int,
    *,
    label_smoothing: float = 0.0,
    z_loss_weight: float = 0.0,
) -> Float[Tensor, " N"]:
    """:func:`token_losses`, flattened, without ever holding the logits of more than ``chunk_tokens`` tokens.

    With a large vocabulary the logits are the largest tensor of all. Here each chunk's are computed, used and
    thrown away, and computed again for the gradient.

    Args:
        to_logits: from hidden states to logits, such as ``model.logits``.
    """

    def losses(part: Tensor, part_targets: Tensor) -> Tensor:
        return token_losses(to_logits(part), part_targets, label_smoothing=label_smoothing, z_loss_weight=z_loss_weight)

    parts = zip(hidden.flatten(0, 1).split(chunk_tokens), targets.flatten().split(chunk_tokens), strict=True)
    return torch.cat([checkpoint(losses, *part, use_reentrant=False) for part in parts])


def target_weights(
    targets: Int[Tensor, "B T"], segment_ids: Int[Tensor, "B T"], length_power: float
) -> Float[Tensor, "B T"]:
    """What each target counts, so that a document of n targets counts ``n ** length_power`` in all; 0 if it is ignored.

    With 1, a story of two hundred words is a hundred times as important as an answer of two. With 0.5, ten times.

    Source: Chen et al. 2024, arXiv:2412.05271 ("square averaging" is the power 0.5).

    Example:
        >>> target_weights(torch.tensor([[7, 8, 9, 5, 5]]), torch.tensor([[1, 1, 1, 1, 2]]), 0.5)
        tensor([[0.5000, 0.5000, 0.5000, 0.5000, 1.0000]])
    """
    counted = (targets != IGNORE_INDEX).float()
    lengths = counted.new_zeros(len(targets), int(segment_ids.max()) + 1).scatter_add(1, segment_ids, counted)
    return counted * lengths.clamp(min=1).pow(length_power - 1).gather(1, segment_ids)


def count_targets(targets: Int[Tensor, "*B"], ignore_index: int = IGNORE_INDEX) -> Int[Tensor, ""]:
    """How many targets count.

    A batch that is read in parts has one such number. Each part's *sum* of losses is divided by it: the mean of the
    parts' means would give a token in a part with few targets more weight than one in a part with many.
    """
    return (targets != ignore_index).sum()
