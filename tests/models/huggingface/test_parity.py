"""Every family, in several sizes drawn at random: our decoder and transformers' agree on the last digits."""

import torch

from tests.models.huggingface import published
from tests.models.huggingface.conftest import Pair


def theirs(pair: Pair, token_ids: torch.Tensor, **arguments) -> torch.Tensor:
    with published.in_float64(), torch.no_grad():
        return pair.theirs(token_ids, use_cache=False, **arguments).logits


def test_logits_are_equal_in_float64(pair):
    expected = theirs(pair, pair.token_ids)
    assert expected.dtype == torch.float64
    assert expected.std() > 0.3
    with torch.no_grad():
        logits = pair.ours(pair.token_ids)
    print(pair.family, (logits - expected).abs().max().item())
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)
