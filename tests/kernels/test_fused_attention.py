import inspect
import itertools

import pytest
import torch

from gemini_workshop.kernels.fused_attention import fused_causal_attention
from gemini_workshop.models.attention import AttentionRule, causal_attention
from tests.models.conftest import C, H, K, S, T

PARTS = ["scale", "softcap", "window_tokens", "sinks", "slopes", "segment_ids"]
PAIRS = [list(names) for count in (0, 1, 2, 6) for names in itertools.combinations(PARTS, count)]


def draw(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def rule_of(names, generator, S):
    parts = {
        "scale": 0.7,
        "softcap": 1.5,
        "window_tokens": 3,
        "sinks": draw(generator, H),
        "slopes": draw(generator, H).abs(),
        "segment_ids": torch.arange(S).div(3, rounding_mode="floor").expand(2, S),
    }
    return AttentionRule(**{name: parts[name] for name in names})


@pytest.mark.parametrize("names", PAIRS, ids="+".join)
@pytest.mark.parametrize(("num_queries", "num_keys"), [(1, 1), (T, T), (1, S), (T, S)])
def test_the_fused_kernel_equals_the_written_out_attention(generator, names, num_queries, num_keys):
    rule = rule_of(names, generator, num_keys)
    for num_kv_heads in (1, K, H):
        query = draw(generator, 2, H, num_queries, C)
        key, value = draw(generator, 2, num_kv_heads, num_keys, C), draw(generator, 2, num_kv_heads, num_keys, C + 1)
        fused, expected = fused_causal_attention(query, key, value, rule), causal_attention(query, key, value, rule)
        torch.testing.assert_close(fused, expected)


@pytest.mark.parametrize("names", [[], PARTS[2:], PARTS], ids="+".join)
def test_the_gradients_are_equal_too(generator, names):
    rule = rule_of(names, generator, S)
    inputs = [draw(generator, 2, heads, tokens, C) for heads, tokens in ((H, T), (K, S), (K, S))]
    inputs += [part for part in (rule.sinks, rule.slopes) if part is not None]
    inputs = [x.requires_grad_() for x in inputs]
    direction = draw(generator, 2, H, T, C)
    gradients = [
        torch.autograd.grad((attend(*inputs[:3], rule) * direction).sum(), inputs)
        for attend in (fused_causal_attention, causal_attention)
    ]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("attend", [causal_attention, fused_causal_attention])
@pytest.mark.parametrize("names", [[], *([name] for name in PARTS)], ids="+".join)
def test_a_key_changes_exactly_the_outputs_that_see_it(generator, attend, names):
    query, key, value = draw(generator, 2, H, T, C), draw(generator, 2, K, S, C), draw(generator, 2, K, S, C)
    rule = rule_of(names, generator, S)
    before = attend(query, key, value, rule)
    for position in range(S):
        changed_key, changed_value = key.clone(), value.clone()
        changed_key[:, :, position] += 1
        changed_value[:, :, position] += 1
        difference = (attend(query, changed_key, changed_value, rule) - before).abs().amax(dim=(0, 1, 3))
        asking = torch.arange(S - T, S)
        sees = asking >= position
        if rule.window_tokens is not None:
            sees &= asking - position < rule.window_tokens
        if rule.segment_ids is not None:
            sees &= rule.segment_ids[0, asking] == rule.segment_ids[0, position]
        assert (difference[~sees] == 0).all()
        assert (difference[sees] > 1e-6).all()


def test_it_can_be_exported_for_texts_of_any_length():
    class Attention(torch.nn.Module):
        def forward(self, query):
            return inspect.unwrap(fused_causal_attention)(query, query, query)

    query = torch.randn(1, 2, 6, 4)
    exported = torch.export.export(Attention(), (query,), dynamic_shapes=({2: torch.export.Dim("tokens", min=2)},))
    longer = torch.randn(1, 2, 9, 4)
    torch.testing.assert_close(exported.module()(longer), causal_attention(longer, longer, longer))
