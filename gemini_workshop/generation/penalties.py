"""Penalties: what is in the text already becomes less likely, or impossible.

The text so far comes as rows of token ids, all of one length: shorter rows are padded on the left with :data:`ABSENT`,
which counts as nothing.

Source: Keskar et al. 2019, arXiv:1909.05858, section 4.1 (repetition; as in transformers, negative logits are
multiplied); OpenAI's API (presence, frequency); Paulus et al. 2017, arXiv:1705.04304, section 2.5 (n-grams).
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemini_workshop.data.tokenizers.checks import check_ids
from gemini_workshop.generation.sampling import CUT_OFF

ABSENT = -1


def token_counts(token_ids: Int[Tensor, "B T"], vocab_size: int) -> Int[Tensor, "B V"]:
    """How often each token of the vocabulary occurs in each row.

    Example:
        >>> token_counts(torch.tensor([[ABSENT, 2, 0, 2]]), vocab_size=4)
        tensor([[1, 0, 2, 0]])
    """
    counts = torch.zeros(token_ids.shape[0], vocab_size + 1, dtype=torch.long, device=token_ids.device)
    counts.scatter_add_(1, token_ids.where(token_ids >= 0, vocab_size), torch.ones_like(token_ids))
    return counts[:, :vocab_size]


def apply_repetition_penalty(
    logits: Float[Tensor, "B V"], token_ids: Int[Tensor, "B T"], penalty: float
) -> Float[Tensor, "B V"]:
    """Divide the logits of tokens in the text by ``penalty``; multiply those below zero, so that all of them fall.

    Example:
        >>> apply_repetition_penalty(torch.tensor([[3.0, -1.0, 2.0]]), torch.tensor([[0, 1]]), penalty=2.0)
        tensor([[ 1.5000, -2.0000,  2.0000]])
    """
    lowered = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(token_counts(token_ids, logits.shape[-1]) > 0, lowered, logits)


def apply_presence_penalty(
    logits: Float[Tensor, "B V"], token_ids: Int[Tensor, "B T"], penalty: float
) -> Float[Tensor, "B V"]:
    """Subtract ``penalty`` from the logits of tokens in the text, however often they occur."""
    return logits - penalty * (token_counts(token_ids, logits.shape[-1]) > 0)


def apply_frequency_penalty(
    logits: Float[Tensor, "B V"], token_ids: Int[Tensor, "B T"], penalty: float
) -> Float[Tensor, "B V"]:
    """Subtract ``penalty`` from the logits of tokens in the text, once for each time they occur."""
    return logits - penalty * token_counts(token_ids, logits.shape[-1])


def forbid_repeated_ngrams(logits: Float[Tensor, "B V"], token_ids: Int[Tensor, "B T"], n: int) -> Float[Tensor, "B V"]:
    """Cut off every token that would complete an n-gram that is in the text already.

    Example:
        >>> forbid_repeated_ngrams(torch.zeros(1, 3), torch.tensor([[0, 1, 2, 0]]), n=2)  # 0 1 was there before
        tensor([[0., -inf, 0.]])
    """
    if token_ids.shape[1] < n:
        return logits
    ngrams = token_ids.unfold(1, n, 1)  # B, places, n
    latest = token_ids[:, token_ids.shape[1] - (n - 1) :]
    is_repeating = (ngrams[..., :-1] == latest.unsqueeze(1)).all(dim=-1)
    last_tokens = ngrams[..., -1].where(is_repeating, ABSENT)
    return logits.masked_fill(token_counts(last_tokens, logits.shape[-1]) > 0, CUT_OFF)


def apply_bias(logits: Float[Tensor, "B V"], bias: Mapping[int, float]) -> Float[Tensor, "B V"]:
    """Add a number to the logits of some tokens; minus infinity forbids a token.

    Raises:
        DataError: a token is outside the vocabulary.
    """
    check_ids(list(bias), logits.shape[-1])
    tokens = torch.tensor(list(bias), dtype=torch.long, device=logits.device)
    amounts = torch.tensor(list(bias.values()), dtype=logits.dtype, device=logits.device)
    return logits.index_add(1, tokens, amounts.expand(logits.shape[0], -1))
