"""What training makes smaller: how surprised the model is by the token that really comes next.

    cross_entropy = -log p(target)      in nats, averaged over the targets

A model that knows nothing pays log(V); one that always knows pays 0.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

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
    wide = logits if logits.dtype == torch.float64 else logits.float()
    counts = targets != ignore_index
    chosen = wide.gather(-1, targets.where(counts, 0).unsqueeze(-1)).squeeze(-1)
    surprise = (wide.logsumexp(dim=-1) - chosen) * counts
    return surprise.sum() / counts.sum().clamp(min=1)
