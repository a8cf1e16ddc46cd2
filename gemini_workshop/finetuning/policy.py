"""Learning from rewards: answers are sampled in groups, and those better than their group become likelier.

    A_i    = (r_i - mean of the group) / (its standard deviation + 1e-4)
    ratio  = π(token) / π_old(token)
    loss   = - min(ratio · A, clip(ratio, 1 - ε, 1 + ε) · A) + beta · KL(π ‖ π_ref)        a mean over all tokens

Source: Shao et al. 2024, arXiv:2402.03300, equations 3 and 4 (GRPO); the clipped objective: Schulman et al. 2017,
arXiv:1707.06347, equation 7; the estimate of the KL divergence: Schulman 2020, "Approximating KL Divergence".
Differs: the mean is over all tokens of the batch, not over each answer first, which would favour long wrong answers
(Yu et al. 2025, arXiv:2503.14476, section 3.3).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

TINY = 1e-4


def group_advantages(rewards: Float[Tensor, "G N"], normalize: bool = True) -> Float[Tensor, "G N"]:
    """How much better each answer is than the mean of its group: of N answers to one question.

    Args:
        normalize: divide by the standard deviation of the group. Where all rewards are equal there is nothing to
            learn, and all advantages are 0.

    Example:
        >>> group_advantages(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), normalize=False)
        tensor([[ 0.5000, -0.5000],
                [ 0.0000,  0.0000]])
    """
    centred = rewards - rewards.mean(dim=-1, keepdim=True)
    return centred / (rewards.std(dim=-1, keepdim=True) + TINY) if normalize else centred


def kl_estimate(log_probs: Float[Tensor, "*B"], reference: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """An estimate of KL(π ‖ π_ref) from one token that π has sampled: ``d - log d - 1`` with ``d = π_ref / π``.

    Its mean is right, as that of ``-log d`` is; but it is never negative, and varies less.

    Example:
        >>> kl_estimate(torch.tensor([-1.0, -1.0]), torch.tensor([-1.0, -2.0]))
        tensor([0.0000, 0.3679])
    """
    log_ratio = reference - log_probs
    return log_ratio.exp() - log_ratio - 1


def grpo_loss(
    log_probs: Float[Tensor, "B T"],
    old_log_probs: Float[Tensor, "B T"],
    advantages: Float[Tensor, " B"],
    is_answer: Bool[Tensor, "B T"],
    clip: float | None = 0.2,
    reference: Float[Tensor, "B T"] | None = None,
    beta: float = 0.0,
) -> Float[Tensor, ""]:
    """The mean over all tokens of the answers; zero if there are none.

    Args:
        log_probs: of the sampled tokens, under the model as it is.
        old_log_probs: under the model that has sampled them.
        advantages: of each answer, from :func:`group_advantages`.
        clip: how far a token's probability may move from the old one and still be pushed; None for no limit.
        reference: under the model that is not to be left too far, with ``beta`` as the price.
    """
    ratio = (log_probs - old_log_probs).exp()
    gain = ratio * advantages.unsqueeze(-1)
    if clip is not None:
        gain = torch.minimum(gain, ratio.clamp(1 - clip, 1 + clip) * advantages.unsqueeze(-1))
    loss = -gain
    if reference is not None:
        loss = loss + beta * kl_estimate(log_probs, reference)
    return torch.where(is_answer, loss, 0).sum() / is_answer.sum().clamp(min=1)
