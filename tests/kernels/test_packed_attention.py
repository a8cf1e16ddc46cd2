"""Documents of a row, attended to one by one, against the definition with its mask."""

import pytest
import torch

from gemini_workshop.kernels import backends, packed_attention
from gemini_workshop.kernels.backends import fast_causal_attention
from gemini_workshop.kernels.packed_attention import packed_causal_attention, suits_packing
from gemini_workshop.models.attention import AttentionRule, causal_attention
from tests.kernels.test_chunked_attention import inputs, with_gradients

SHAPE = (3, 6, 2, 96, 8, 5)  # B, H, K, T, C, Cv
LENGTHS = ((40, 20, 33, 3), (1, 1, 94), (5, 64, 20, 7))
SEGMENTS = torch.tensor([[i for i, length in enumerate(row, 1) for _ in range(length)] for row in LENGTHS])
SEGMENTS[2, -7:] = 0  # the rest of a row
IMAGES = torch.zeros_like(SEGMENTS)
IMAGES[0, 3:9] = IMAGES[1, 50:60] = IMAGES[2, 75:80] = 1
IMAGES[0, 45:50] = IMAGES[1, 65:70] = 2


def packed(query, key, value, rule):
    return packed_causal_attention(query, key, value, rule, fast_causal_attention)


@pytest.mark.parametrize("images", [None, IMAGES], ids=["text", "images"])
@pytest.mark.parametrize(("scale", "window"), [(None, None), (0.7, None), (None, 1), (None, 16), (None, 40)])
def test_outputs_and_gradients_equal_the_definition(images, scale, window):
    rule = AttentionRule(scale=scale, window_tokens=window, segment_ids=SEGMENTS, image_ids=images)
    assert suits_packing(*inputs(*SHAPE)[:2], rule)
    ours = with_gradients(packed, *inputs(*SHAPE), rule)
    expected = with_gradients(causal_attention, *inputs(*SHAPE), rule)
    torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-12)


def test_training_uses_it_and_reading_does_not(monkeypatch):
    seen = []
    monkeypatch.setattr(
        backends, "packed_causal_attention", lambda *given: seen.append(1) or packed_causal_attention(*given)
    )
    query, key, value, _ = inputs(*SHAPE)
    rule = AttentionRule(segment_ids=SEGMENTS)
    fast_causal_attention(query, key, value, rule)
    assert len(seen) == 1
    with torch.no_grad():
        fast_causal_attention(query, key, value, rule)
    assert len(seen) == 1


@pytest.mark.parametrize(
    "rule",
    [
        AttentionRule(),
        AttentionRule(segment_ids=SEGMENTS, softcap=3.0),
        AttentionRule(segment_ids=SEGMENTS, sinks=torch.zeros(6)),
        AttentionRule(segment_ids=SEGMENTS, slopes=torch.ones(6)),
        AttentionRule(segment_ids=torch.ones_like(SEGMENTS)),
        AttentionRule(segment_ids=SEGMENTS.flip(1)),
    ],
    ids=["no documents", "soft cap", "sinks", "slopes", "one document a row", "not upwards"],
)
def test_what_it_does_not_compute_is_left_to_others(rule):
    assert not suits_packing(*inputs(*SHAPE)[:2], rule)


def test_with_a_cache_or_in_short_rows_it_stays_away():
    query, key, *_ = inputs(*SHAPE)
    assert not suits_packing(query[:, :, -1:], key, AttentionRule(segment_ids=SEGMENTS))
    shortest = packed_attention.SHORTEST_ROW - 1
    few = AttentionRule(segment_ids=SEGMENTS[:, :shortest])
    assert not suits_packing(query[:, :, :shortest], key[:, :, :shortest], few)


def test_documents_of_one_number_that_are_apart_still_see_each_other():
    """They are one document to the mask, so that the mask has to do."""
    apart = SEGMENTS.clone()
    apart[0, -3:] = 1
    rule = AttentionRule(segment_ids=apart)
    ours = with_gradients(fast_causal_attention, *inputs(*SHAPE), rule)
    expected = with_gradients(causal_attention, *inputs(*SHAPE), rule)
    torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-12)
