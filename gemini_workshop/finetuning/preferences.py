"""Learning from preferences: of two answers to a question, one is better.

    margin = (log π(better) - log π_ref(better)) - (log π(worse) - log π_ref(worse))

    DPO      -log sigmoid(beta · margin)                        push it up, less and less
    IPO      (margin - 1 / (2 beta))²                           to a fixed distance, and no further
    SimPO    -log sigmoid(beta · (mean log π(better) - mean log π(worse)) - gamma)     without a reference
    reward   -log sigmoid(r(better) - r(worse))                 a model of the judge (Bradley-Terry)

Source: DPO: Rafailov et al. 2023, arXiv:2305.18290, equation 7; IPO: Azar et al. 2023, arXiv:2310.12036, equation 17;
SimPO: Meng et al. 2024, arXiv:2405.14734, equation 6; reward: Ouyang et al. 2022, arXiv:2203.02155, equation 1.
"""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.data.batches.batch import IGNORE_INDEX

Values = Float[Tensor, " B"]


def answer_log_probs(logits: Float[Tensor, "B T V"], targets: Int[Tensor, "B T"]) -> Values:
    """The log-probability of each row's answer: the sum over its targets that are not to be ignored.

    Example:
        >>> import torch
        >>> answer_log_probs(torch.zeros(1, 3, 4), torch.tensor([[-100, 2, 0]]))  # two tokens of 4: -2 log 4
        tensor([-2.7726])
    """
    is_target = targets != IGNORE_INDEX
    chosen = logits.log_softmax(dim=-1).gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return (chosen * is_target).sum(dim=-1)


def reward_margin(better: Values, worse: Values, better_ref: Values, worse_ref: Values) -> Values:
    """How much more than its reference the model prefers the better answer, in nats.

    Args:
        better, worse: log-probabilities of the answers under the model.
        better_ref, worse_ref: the same under the model as it was before.
    """
    return (better - better_ref) - (worse - worse_ref)


def dpo_loss(better: Values, worse: Values, better_ref: Values, worse_ref: Values, beta: float) -> Float[Tensor, ""]:
    """The mean over the pairs of ``-log sigmoid(beta · margin)``; log 2 where the model is its reference.

    Args:
        beta: how dear it is to leave the reference; 0.1 is usual.

    Example:
        >>> import torch
        >>> same = torch.tensor([-3.0])
        >>> dpo_loss(same, same, same, same, beta=0.1)
        tensor(0.6931)
    """
    return -F.logsigmoid(beta * reward_margin(better, worse, better_ref, worse_ref)).mean()


def ipo_loss(better: Values, worse: Values, better_ref: Values, worse_ref: Values, beta: float) -> Float[Tensor, ""]:
    """The mean of ``(margin - 1 / (2 beta))²``: also a pair that is always decided alike is not pushed for ever."""
    return (reward_margin(better, worse, better_ref, worse_ref) - 1 / (2 * beta)).square().mean()


def simpo_loss(better: Values, worse: Values, beta: float, gamma: float) -> Float[Tensor, ""]:
    """The mean of ``-log sigmoid(beta · (better - worse) - gamma)``, of log-probabilities *per token*.

    Args:
        better, worse: each answer's log-probability divided by its number of tokens.
        gamma: by how much the better one is to win.
    """
    return -F.logsigmoid(beta * (better - worse) - gamma).mean()


def bradley_terry_loss(better: Values, worse: Values) -> Float[Tensor, ""]:
    """The mean of ``-log sigmoid(better - worse)``, of the rewards that a model gives to the answers."""
    return -F.logsigmoid(better - worse).mean()
