"""From logits to one token: reshape the distribution, cut off its tail, sample.

    logits -> apply_temperature -> top_k_filter -> top_p_filter -> softmax -> sample

The filters set the logits of what they cut off to minus infinity, so that its probability is exactly zero. Functions
that look back at the text are in :mod:`~gemini_workshop.generation.penalties`;
:mod:`~gemini_workshop.generation.sampler` composes them all.

Source: Fan et al. 2018, arXiv:1805.04833 (top-k); Holtzman et al. 2020, arXiv:1904.09751, section 3.1
(top-p); Nguyen et al. 2024, arXiv:2407.01082 (min-p); Meister et al. 2022, arXiv:2202.00666 (typical).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.errors import WorkshopError

CUT_OFF = float("-inf")


def greedy(logits: Float[Tensor, "*B V"]) -> Int[Tensor, "*B"]:
    """The most likely token; of several equal ones, the one with the lowest id."""
    return (logits == logits.amax(dim=-1, keepdim=True)).int().argmax(dim=-1)


def apply_temperature(logits: Float[Tensor, "*B V"], temperature: float) -> Float[Tensor, "*B V"]:
    """Divide the logits: below 1 the likely tokens gain probability, above 1 the distribution flattens.

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
    """Keep exactly the ``k`` most likely tokens (all, if there are fewer); of equal ones, those with the lowest ids.

    Example:
        >>> top_k_filter(torch.tensor([3.0, 1.0, 2.0]), k=2)
        tensor([3., -inf, 2.])
    """
    order = logits.argsort(dim=-1, descending=True, stable=True)
    return logits.scatter(-1, order[..., k:], CUT_OFF)


def top_p_filter(logits: Float[Tensor, "*B V"], p: float) -> Float[Tensor, "*B V"]:
    """Keep the fewest tokens, most likely first, whose probabilities reach ``p``.

    The token that reaches or crosses ``p`` is kept, so at least one always is. Of equal ones, those with the
    lowest ids go first.

    Example:
        >>> top_p_filter(torch.tensor([0.5, 0.3, 0.2]).log(), p=0.6).exp()  # 0.5 is not enough, 0.8 is
        tensor([0.5000, 0.3000, 0.0000])
    """
    return keep_fewest(logits, logits.argsort(dim=-1, descending=True, stable=True), p)


def min_p_filter(logits: Float[Tensor, "*B V"], min_p: float) -> Float[Tensor, "*B V"]:
    """Keep the tokens that are at least ``min_p`` times as likely as the most likely one.

    Where the model is sure, few remain; where it is not, many.

    Example:
        >>> min_p_filter(torch.tensor([0.5, 0.3, 0.2]).log(), min_p=0.5).exp()
        tensor([0.5000, 0.3000, 0.0000])
    """
    probabilities = logits.double().softmax(dim=-1)
    return logits.masked_fill(probabilities < min_p * probabilities.amax(dim=-1, keepdim=True), CUT_OFF)


def typical_filter(logits: Float[Tensor, "*B V"], p: float) -> Float[Tensor, "*B V"]:
    """Keep the fewest tokens whose probabilities reach ``p``, those first whose surprise is nearest to the expected.

    The surprise of a token is ``-log(probability)``; its expected value is the entropy. So the most likely token can
    be cut off where it would be dull.

    Example:
        >>> typical_filter(torch.tensor([0.4, 0.3, 0.2, 0.1]).log(), p=0.2).exp()  # 1.20 nats are nearest to 1.28
        tensor([0.0000, 0.3000, 0.0000, 0.0000])
    """
    log_probs = logits.double().log_softmax(dim=-1)
    entropy = -(log_probs.exp() * log_probs).nansum(dim=-1, keepdim=True)
    return keep_fewest(logits, (-log_probs - entropy).abs().argsort(dim=-1, stable=True), p)


def keep_fewest(logits: Float[Tensor, "*B V"], order: Int[Tensor, "*B V"], p: float) -> Float[Tensor, "*B V"]:
    """Keep tokens in the given order until their probabilities reach ``p``, and cut off the rest."""
    if p >= 1:
        return logits
    probabilities = logits.gather(-1, order).double().softmax(dim=-1)
    reached_before = F.pad(probabilities.cumsum(dim=-1)[..., :-1], (1, 0))
    kept = torch.empty_like(order, dtype=torch.bool).scatter(-1, order, reached_before < p)
    return logits.masked_fill(~kept, CUT_OFF)


def sample(
    logits: Float[Tensor, "B V"], generator: torch.Generator | Sequence[torch.Generator] | None = None
) -> Int[Tensor, " B"]:
    """Sample one token for each row.

    Args:
        generator: where randomness comes from; several give each row its own, so that a row does not depend on the
            others.

    Raises:
        WorkshopError: a row has no token left to sample.
    """
    check_choice(logits)
    probabilities = logits.softmax(dim=-1)
    if isinstance(generator, Sequence):
        rows = zip(probabilities, generator, strict=True)
        return torch.cat([torch.multinomial(row, num_samples=1, generator=own) for row, own in rows])
    return torch.multinomial(probabilities, num_samples=1, generator=generator).squeeze(-1)


def check_choice(logits: Float[Tensor, "B V"]) -> None:
    """Refuse to choose where there is nothing to choose from.

    Raises:
        WorkshopError: all logits of a row are minus infinity, or one is not a number.
    """
    best = logits.amax(dim=-1)
    if best.isfinite().all():
        return
    row = int((~best.isfinite()).nonzero()[0])
    if best[row] == CUT_OFF:
        raise WorkshopError(
            f"Every token of row {row} is cut off: none is left to sample. "
            "Loosen or remove one of the options that exclude each other (constraint, bias, repeated n-grams)."
        )
    raise WorkshopError(
        f"The largest logit of row {row} is {best[row].item()}, not a finite number. "
        "Weaken --bias and the penalties; if there are none, check the model's weights and its number format."
    )
