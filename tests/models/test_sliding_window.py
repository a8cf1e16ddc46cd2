import pytest
import torch

from gemini_workshop.models.attention import AttentionRule, causal_attention
from gemini_workshop.models.sliding_window import sliding_window_attention, window_slices
from tests.models.conftest import B, C, H


@pytest.mark.parametrize("chunk", [1, 3, 64])
@pytest.mark.parametrize(("queries", "keys", "window"), [(11, 13, 4), (9, 9, 1), (1, 12, 5), (10, 10, 30)])
def test_it_equals_attention_with_a_mask(queries, keys, window, chunk, generator):
    query, key, value = (
        torch.randn(B, H, tokens, C, generator=generator, dtype=torch.float64) for tokens in (queries, keys, keys)
    )
    expected = causal_attention(query, key, value, AttentionRule(window_tokens=window))
    torch.testing.assert_close(sliding_window_attention(query, key, value, window, chunk), expected)


def test_no_chunk_sees_more_keys_than_the_window_and_its_own_queries():
    slices = window_slices(100, 120, window_tokens=7, chunk_tokens=16)
    assert max(keys.stop - keys.start for _, keys in slices) == 7 - 1 + 16
    assert [queries.start for queries, _ in slices] == list(range(0, 100, 16))


def test_without_a_window_each_chunk_sees_all_keys_up_to_its_last_query():
    assert window_slices(5, 5, None, 2) == [
        (slice(0, 2), slice(0, 2)),
        (slice(2, 4), slice(0, 4)),
        (slice(4, 5), slice(0, 5)),
    ]
