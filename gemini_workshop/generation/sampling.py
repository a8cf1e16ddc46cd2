"""From scores to one token: reshape the odds, cut off the tail, draw.

    logits -> apply_temperature -> top_k_filter -> top_p_filter -> softmax -> draw

The filters set the score of what they cut off to minus infinity, so that its probability is exactly zero.

Source: Fan et al. 2018, arXiv:1805.04833 (top-k); Holtzman et al. 2020, arXiv:1904.09751, section 3.1
(top-p).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.config import GenerationConfig

CUT_OFF = float("-inf")


def greedy(logits: Float[Tensor, "*B V"]) -> Int[Tensor, "*B"]:
    """The likeliest token; of several equal ones, the one with the lowest id."""
    return (logits == logits.amax(dim=-1, keepdim=True)).int().argmax(dim=-1)


def apply_temperature(logits: Float[Tensor, "*B V"], temperature: float) -> Float[Tensor, "*B V"]:
    """Divide the scores: below 1 the likely become likelier, above 1 the odds even out.

    At 0, the limit, only the :func:`greedy` token remains.

    Example:
        >>> apply_temperature(torch.tensor([1.0, 2.0]), 0.5)
        tensor([2., 4.])
    """
    if temperature > 0:
        return logits / temperature
    is_chosen = torch.arange(logits.shape[-1], device=logits.device) == greedy(logits).unsqueeze(-1)
    return logits.masked_fill(~is_chosen, CUT_OFF)


def top_k_filter(logits: Float[Tensor, "*B V"], k: int) -> Float[Tensor, "*B V"]:
    """Keep exactly the ``k`` likeliest tokens (all, if there are fewer); of equal ones, those with the lowest ids.

    Example:
        >>> top_k_filter(torch.tensor([3.0, 1.0, 2.0]), k=2)
        tensor([3., -inf, 2.])
    """
    order = logits.argsort(dim=-1, descending=True, stable=True)
    return logits.scatter(-1, order[..., k:], CUT_OFF)


def top_p_filter(logits: Float[Tensor, "*B V"], p: float) -> Float[Tensor, "*B V"]:
    """Keep the fewest tokens, likeliest first, whose probabilities reach ``p``.

    The token that reaches or crosses ``p`` is kept, so at least one always is. Of equal ones, those with the
    lowest ids go first.

    Example:
        >>> top_p_filter(torch.tensor([0.5, 0.3, 0.2]).log(), p=0.6).exp()  # 0.5 is not enough, 0.8 is
        tensor([0.5000, 0.3000, 0.0000])
    """
    if p >= 1:
        return logits
    order = logits.argsort(dim=-1, descending=True, stable=True)
    shares = logits.gather(-1, order).double().softmax(dim=-1)
    reached_before = shares.cumsum(dim=-1) - shares
    kept = torch.empty_like(order, dtype=torch.bool).scatter(-1, order, reached_before < p)
    return logits.masked_fill(~kept, CUT_OFF)


def sample(
    logits: Float[Tensor, "B V"], config: GenerationConfig, generator: torch.Generator | None = None
) -> Int[Tensor, " B"]:
    """Draw one token for each row, on the CPU, so that a seed draws alike on every device."""
    logits = logits.float().cpu()
    if config.temperature == 0:
        return greedy(logits)
    logits = apply_temperature(logits, config.temperature)
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    if config.top_p is not None:
        logits = top_p_filter(logits, config.top_p)
    return torch.multinomial(logits.softmax(dim=-1), num_samples=1, generator=generator).squeeze(-1)
