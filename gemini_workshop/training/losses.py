"""What training makes smaller: how surprised the model is by the token that really comes next.

    cross_entropy = -log p(target)      in nats, averaged over the targets

A model that knows nothing pays log(V); one that always knows pays 0.

Source: label smoothing: Szegedy et al. 2015, arXiv:1512.00567, section 7; z-loss: Chowdhery et al. 2022,
arXiv:2204.02311, section 5.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

IGNORE_INDEX = -100


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
    return token_losses(logits, targets, ignore_index=ignore_index).sum() / count_targets(targets, ignore_index)


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
        label_smoothing: share of the target's probability that goes to all tokens alike, so that the model is
            never asked for certainty.
        z_loss_weight: weight of ``logsumexp`` squared, which keeps the logits from drifting: adding a constant to
            all of them changes no probability, and costs with this.
    """
    wide = logits if logits.dtype == torch.float64 else logits.float()
    counts = targets != ignore_index
    chosen = wide.gather(-1, targets.where(counts, 0).unsqueeze(-1)).squeeze(-1)
    total = wide.logsumexp(dim=-1)
    losses = total - chosen
    if label_smoothing:
        losses = (1 - label_smoothing) * losses + label_smoothing * (total - wide.mean(dim=-1))
    if z_loss_weight:
        losses = losses + z_loss_weight * total.square()
    return losses * counts


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


def count_targets(targets: Int[Tensor, "*B"], ignore_index: int = IGNORE_INDEX) -> Int[Tensor, ""]:
    """How many targets count; 1 if none does, so that one can divide by it.

    A batch that is read in parts has one such number. Each part's *sum* of losses is divided by it: the mean of the
    parts' means would give a token in a part with few targets more weight than one in a part with many.
    """
    return (targets != ignore_index).sum().clamp(min=1)
