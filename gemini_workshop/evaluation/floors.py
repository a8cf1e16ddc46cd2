"""Baselines for a loss: three simple models of a text, each with a loss that can be computed exactly.

    uniform   log(V)                 knows the size of the vocabulary
    unigram   H(next)                knows how often each token occurs
    bigram    H(next | previous)     knows how often each token follows each other one

The entropies are *plug-in* estimates: the frequencies of a text, used on that same text. No unigram or bigram
model, however made, has a lower mean loss on that text, because the frequencies themselves are the best fit.
They are therefore lower bounds for those two kinds of model on that text, and optimistic ones: many pairs
occur once, and the text's own table calls them near certain. A model that stays below the bigram entropy of
the text it is measured on must use more than one previous token.
"""

import math

import torch
from jaxtyping import Int
from torch import Tensor

from gemini_workshop.data.batches.stream import TokenStream
from gemini_workshop.errors import DataError


def uniform_entropy(vocab_size: int) -> float:
    """Nats per token of a model that finds every token equally likely.

    Example:
        >>> round(uniform_entropy(1024), 3)
        6.931
    """
    return math.log(vocab_size)


def unigram_entropy(token_ids: Int[Tensor, " N"]) -> float:
    """Nats per token of the best model that ignores the context, on the text it was fitted to: the plug-in entropy.

    Raises:
        DataError: there is no token.

    Example:
        >>> round(unigram_entropy(torch.tensor([7, 7, 7, 9])), 4)  # -(3/4 log 3/4 + 1/4 log 1/4)
        0.5623
    """
    if not len(token_ids):
        raise _too_few(0, 1)
    _, counts = token_ids.unique(return_counts=True)
    return _entropy_of(counts)


def bigram_entropy(token_ids: Int[Tensor, " N"]) -> float:
    """Nats per token of the best model that sees one previous token, on the text it was fitted to.

    The plug-in conditional entropy H(previous, next) - H(previous) over the N - 1 neighbouring pairs. A lower
    bound for every bigram model on this text, and a biased one: an unseen text would cost the same table
    more.

    Raises:
        DataError: there is no pair.

    Example:
        >>> bigram_entropy(torch.tensor([1, 2, 1, 2, 1]))  # the next token is certain
        0.0
    """
    if len(token_ids) < 2:
        raise _too_few(len(token_ids), 2)
    previous, following = token_ids[:-1].long(), token_ids[1:].long()
    _, pairs = (previous * (int(token_ids.max()) + 1) + following).unique(return_counts=True)
    _, firsts = previous.unique(return_counts=True)
    return max(0.0, _entropy_of(pairs) - _entropy_of(firsts))


def entropy_floors(text: TokenStream, chunk_tokens: int = 2**20) -> dict[str, float]:
    """All three for a text of any size, highest first, in nats per token; only the distinct pairs are in memory.

    Raises:
        DataError: there is no pair.
    """
    V, num_tokens = text.vocab_size, text.num_tokens
    if num_tokens < 2:
        raise _too_few(num_tokens, 2)
    pairs, counts = torch.zeros(2, 0, dtype=torch.int64)
    for start in range(0, num_tokens - 1, chunk_tokens):
        ids = torch.from_numpy(text.tokens(start, min(start + chunk_tokens + 1, num_tokens)))
        found, times = (ids[:-1] * V + ids[1:]).unique(return_counts=True)
        pairs, places = torch.cat([pairs, found]).unique(return_inverse=True)
        counts = torch.zeros_like(pairs).index_add_(0, places, torch.cat([counts, times]))
    firsts = torch.zeros(V, dtype=torch.int64).index_add_(0, pairs // V, counts)
    tokens = firsts.index_add(0, ids[-1:], torch.ones(1, dtype=torch.int64))
    return {
        "uniform": uniform_entropy(V),
        "unigram": _entropy_of(tokens),
        "bigram": max(0.0, _entropy_of(counts) - _entropy_of(firsts)),
    }


def bits_per_byte(loss_nats: float, num_tokens: int, num_bytes: int) -> float:
    """A loss that does not depend on the tokenizer: bits for each byte of the text.

    Example:
        >>> bits_per_byte(math.log(2), num_tokens=10, num_bytes=40)  # one bit per token, four bytes per token
        0.25
    """
    return loss_nats / math.log(2) * num_tokens / num_bytes


def _entropy_of(counts: Int[Tensor, " n"]) -> float:
    probabilities = counts[counts > 0].double() / counts.sum()
    return float(-(probabilities * probabilities.log()).sum())


def _too_few(count: int, least: int) -> DataError:
    return DataError(f"{count} tokens have no such entropy. Give a text of at least {least}.")
