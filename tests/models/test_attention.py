import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.models.attention import (
    AttentionRule,
    attention_weights,
    causal_attention,
    causal_attention_weights,
    grouped_query_attention,
    scaled_dot_product_attention,
    softcap,
    softmax,
    visible_keys,
)
from gemini_workshop.models.masks import causal_mask
from tests.models.conftest import B, C, H, K, S, T


@pytest.fixture
def draw(generator):
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax_equals_torch(draw, dim):
    scores = 10 * draw(B, T, S)
    torch.testing.assert_close(softmax(scores, dim), scores.softmax(dim))


def test_softmax_of_huge_scores_stays_finite():
    assert softmax(torch.tensor([1e30, 0.0])).tolist() == [1.0, 0.0]


def test_adding_a_constant_to_all_scores_changes_no_share(draw):
    scores = draw(B, S)
    torch.testing.assert_close(softmax(scores + 5), softmax(scores))


@pytest.mark.parametrize("masked", [None, "causal", "random", "one per head"])
def test_attention_equals_torch(draw, generator, masked):
    query, key, value = draw(B, H, T, C), draw(B, H, S, C), draw(B, H, S, C + 1)
    mask = {
        None: None,
        "causal": causal_mask(T, S),
        "random": torch.rand(T, S, generator=generator) < 0.5,
        "one per head": torch.rand(B, H, T, S, generator=generator) < 0.5,
    }[masked]
    if mask is not None:
        mask[..., 0] = True
    torch.testing.assert_close(
        scaled_dot_product_attention(query, key, value, mask),
        F.scaled_dot_product_attention(query, key, value, attn_mask=mask),
    )


def test_attention_works_without_batch_and_heads(draw):
    query, key, value = draw(T, C), draw(S, C), draw(S, C)
    torch.testing.assert_close(
        scaled_dot_product_attention(query, key, value),
        F.scaled_dot_product_attention(query[None], key[None], value[None])[0],
    )


def test_the_gradient_of_attention_equals_torchs(draw):
    inputs = [draw(B, T, C).requires_grad_(), draw(B, S, C).requires_grad_(), draw(B, S, C).requires_grad_()]
    direction, mask = draw(B, T, C), causal_mask(T, S)
    ours = torch.autograd.grad((scaled_dot_product_attention(*inputs, mask) * direction).sum(), inputs)
    theirs = torch.autograd.grad((F.scaled_dot_product_attention(*inputs, attn_mask=mask) * direction).sum(), inputs)
    torch.testing.assert_close(ours, theirs)


def test_attention_weights_are_shares_and_mix_the_values(draw):
    query, key, value, mask = draw(B, H, T, C), draw(B, H, S, C), draw(B, H, S, C), causal_mask(T, S)
    weights = attention_weights(query, key, mask)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(B, H, T).double())
    assert (weights[..., ~mask] == 0).all()
    torch.testing.assert_close(weights @ value, scaled_dot_product_attention(query, key, value, mask))


def test_without_positions_the_order_of_the_keys_does_not_matter(draw, generator):
    query, key, value = draw(B, T, C), draw(B, S, C), draw(B, S, C)
    order = torch.randperm(S, generator=generator)
    torch.testing.assert_close(
        scaled_dot_product_attention(query, key[:, order], value[:, order]),
        scaled_dot_product_attention(query, key, value),
    )


def test_grouped_heads_equal_repeated_key_value_heads(draw):
    query, key, value, mask = draw(B, H, T, C), draw(B, K, S, C), draw(B, K, S, C), causal_mask(T, S)
    repeated = [x.repeat_interleave(H // K, dim=1) for x in (key, value)]
    torch.testing.assert_close(
        grouped_query_attention(query, key, value, mask), scaled_dot_product_attention(query, *repeated, mask)
    )


def test_one_key_value_head_per_query_head_is_ordinary_attention(draw):
    query, key, value = draw(B, H, T, C), draw(B, H, S, C), draw(B, H, S, C)
    torch.testing.assert_close(
        grouped_query_attention(query, key, value), scaled_dot_product_attention(query, key, value)
    )


# --- The rule of a layer, each part against the definition ---


def by_definition(query, key, value, rule: AttentionRule):
    """One query and head at a time, in plain numbers."""
    B, H, T, C = query.shape
    K, S = key.shape[1:3]
    output = torch.zeros(B, H, T, value.shape[-1], dtype=torch.float64)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                here = S - T + t
                total, mixed = 0.0, torch.zeros(value.shape[-1], dtype=torch.float64)
                if rule.sinks is not None:
                    total += rule.sinks[h].exp()
                for s in range(here + 1):
                    if rule.window_tokens is not None and here - s >= rule.window_tokens:
                        continue
                    if rule.segment_ids is not None and rule.segment_ids[b, s] != rule.segment_ids[b, here]:
                        continue
                    score = query[b, h, t] @ key[b, h // (H // K), s] * (rule.scale or C**-0.5)
                    if rule.softcap is not None:
                        score = rule.softcap * torch.tanh(score / rule.softcap)
                    if rule.slopes is not None:
                        score = score - rule.slopes[h] * (here - s)
                    total += score.exp()
                    mixed += score.exp() * value[b, h // (H // K), s]
                output[b, h, t] = mixed / total
    return output


@pytest.fixture
def parts(draw, generator):
    return {
        "scale": 0.7,
        "softcap": 1.5,
        "window_tokens": 3,
        "sinks": draw(H),
        "slopes": draw(H).abs(),
        "segment_ids": torch.tensor([[0, 0, 0, 1, 1, 1, 1], [3, 3, 4, 4, 4, 4, 5]]),
    }


PARTS = ["scale", "softcap", "window_tokens", "sinks", "slopes", "segment_ids"]


@pytest.mark.parametrize("names", [[], *([name] for name in PARTS), PARTS], ids=lambda names: "+".join(names) or "none")
def test_each_part_of_a_rule_does_what_its_definition_says(draw, parts, names):
    query, key, value = draw(2, H, T, C), draw(2, K, S, C), draw(2, K, S, C + 1)
    rule = AttentionRule(**{name: parts[name] for name in names})
    torch.testing.assert_close(causal_attention(query, key, value, rule), by_definition(query, key, value, rule))


@pytest.mark.parametrize("name", PARTS)
def test_no_part_of_a_rule_is_without_effect(draw, parts, name):
    query, key, value = draw(2, H, T, C), draw(2, K, S, C), draw(2, K, S, C)
    rule = AttentionRule(**{name: parts[name]})
    assert (causal_attention(query, key, value, rule) - causal_attention(query, key, value)).abs().max() > 0.05


def test_weights_of_a_layer_mix_the_values(draw, parts):
    query, key, value = draw(2, H, T, C), draw(2, K, S, C), draw(2, K, S, C)
    rule = AttentionRule(**parts)
    weights = causal_attention_weights(query, key, rule)
    mixed = weights @ value.repeat_interleave(H // K, dim=1)
    torch.testing.assert_close(causal_attention(query, key, value, rule), mixed)
    assert (weights.sum(dim=-1) < 1).all()  # the sinks take the rest


def test_without_sinks_the_weights_of_a_layer_are_shares(draw):
    weights = causal_attention_weights(draw(2, H, T, C), draw(2, K, S, C))
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, H, T).double())


def test_a_window_counts_the_asking_token():
    assert visible_keys(3, 4, AttentionRule(window_tokens=2))[0, 0].tolist() == [
        [True, True, False, False],
        [False, True, True, False],
        [False, False, True, True],
    ]


def test_softcap_leaves_small_numbers_and_bounds_large_ones():
    x = torch.tensor([-1e9, -0.01, 0.0, 0.01, 1e9], dtype=torch.float64)
    torch.testing.assert_close(
        softcap(x, 50.0), torch.tensor([-50.0, -0.01, 0.0, 0.01, 50.0]).double(), atol=1e-9, rtol=0
    )
