"""Whether draws can come from a distribution."""

import torch
from scipy.stats import chisquare
from torch import Tensor

DRAWS = 20_000
LEAST_P = 1e-4


def fits(draws: Tensor, probabilities: Tensor) -> bool:
    """Pearson's test: nothing impossible was drawn, and the counts are as likely as chance has it.

    Tokens expected fewer than five times are counted as one.
    """
    counts = torch.bincount(draws, minlength=len(probabilities)).double()
    expected = probabilities.double() / probabilities.double().sum() * len(draws)
    if (counts[expected == 0] > 0).any():
        return False
    is_rare = expected < 5
    observed = [*counts[~is_rare].tolist(), counts[is_rare].sum().item()]
    hoped = [*expected[~is_rare].tolist(), expected[is_rare].sum().item()]
    if hoped[-1] == 0:
        observed, hoped = observed[:-1], hoped[:-1]
    return len(hoped) == 1 or chisquare(observed, hoped, sum_check=False).pvalue > LEAST_P
