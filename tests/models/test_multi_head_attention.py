"""Multi-head attention is PyTorch's, the decoder's with as many key/value heads as heads, and a sum over its heads."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from gemini_workshop.errors import ConfigError
from gemini_workshop.models import attention
from gemini_workshop.models.attention_layers import CrossAttention, GroupedQueryAttention
from gemini_workshop.models.multi_head_attention import (
    MultiHeadAttention,
    attention_parameters,
    merge_heads,
    split_heads,
)
from tests.models.conftest import B, C, H, S, T, randomize

D = H * C


@pytest.fixture
def draw(generator):
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture
def layer(generator):
    layer = MultiHeadAttention(D, H).double()
    randomize(layer, generator)
    return layer


def torch_layer(layer):
    """PyTorch's own layer with the same weights; it keeps query, key and value in one matrix."""
    theirs = nn.MultiheadAttention(D, H, bias=False, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([layer.query.weight, layer.key.weight, layer.value.weight]))
        theirs.out_proj.weight.copy_(layer.output.weight)
    return theirs


def test_head_h_gets_the_h_th_piece_of_every_token(draw):
    x = draw(B, T, D)
    heads = split_heads(x, H)
    assert heads.shape == (B, H, T, C)
    for h in range(H):
        assert torch.equal(heads[:, h], x[:, :, h * C : (h + 1) * C])


def test_merging_undoes_splitting_to_the_bit(draw):
    x = draw(B, T, D)
    assert torch.equal(merge_heads(split_heads(x, H)), x)


def test_self_attention_is_that_of_torch(layer, draw):
    x = draw(B, T, D)
    torch.testing.assert_close(layer(x), torch_layer(layer)(x, x, x, need_weights=False)[0])


def test_masked_self_attention_is_that_of_torch(layer, draw):
    x, mask = draw(B, T, D), torch.ones(T, T, dtype=torch.bool).tril()
    expected = torch_layer(layer)(x, x, x, attn_mask=~mask, need_weights=False)[0]  # there, True means hidden
    torch.testing.assert_close(layer(x, mask=mask), expected)


def test_cross_attention_is_that_of_torch_with_and_without_a_mask(layer, draw):
    x, context = draw(B, T, D), draw(B, S, D)
    theirs = torch_layer(layer)
    torch.testing.assert_close(layer(x, context), theirs(x, context, context, need_weights=False)[0])
    mask = torch.ones(T, S, dtype=torch.bool).tril(1)
    expected = theirs(x, context, context, attn_mask=~mask, need_weights=False)[0]
    torch.testing.assert_close(layer(x, context, mask), expected)


def test_every_row_of_the_batch_may_have_a_mask_of_its_own(layer, draw):
    x = draw(B, T, D)
    mask = torch.ones(B, 1, T, T, dtype=torch.bool)
    mask[3, :, :, 2] = False
    whole = layer(x)
    masked = layer(x, mask=mask)
    torch.testing.assert_close(masked[:3], whole[:3])
    assert (masked[3] - whole[3]).abs().amax() > 1e-3


def test_it_is_the_decoders_layer_with_a_key_value_head_for_each_query_head(config, layer, draw):
    config = replace(config, embed_dim=D, num_heads=H, num_kv_heads=H, head_dim=C, qk_norm="none")
    grouped = GroupedQueryAttention(config, config.layers[-1]).double()
    grouped.load_state_dict(layer.state_dict())
    x = draw(B, T, D)
    causal = torch.ones(T, T, dtype=torch.bool).tril()
    torch.testing.assert_close(layer(x, mask=causal), grouped(x))


def test_it_is_the_cross_attention_layer_with_a_key_value_head_for_each_query_head(layer, draw):
    cross = CrossAttention(D, D, H, H, C).double()
    cross.load_state_dict(layer.state_dict())
    x, context = draw(B, T, D), draw(B, S, D)
    torch.testing.assert_close(layer(x, context), cross(x, context))


def test_the_output_is_a_sum_over_heads_each_with_its_own_columns_of_the_output_matrix(layer, draw):
    x = draw(B, T, D)
    whole = layer(x)
    parts = torch.zeros_like(whole)
    for h in range(H):
        alone = MultiHeadAttention(D, H).double()
        alone.load_state_dict(layer.state_dict())
        with torch.no_grad():
            alone.output.weight[:, : h * C] = 0.0
            alone.output.weight[:, (h + 1) * C :] = 0.0
        parts += alone(x)
    torch.testing.assert_close(parts, whole)


def test_it_attends_by_the_function_of_the_attention_module(layer, draw, monkeypatch):
    def own_value(query, key, value, mask=None):
        return value

    monkeypatch.setattr(attention, "scaled_dot_product_attention", own_value)
    x = draw(B, T, D)
    torch.testing.assert_close(layer(x), layer.output(layer.value(x)))


def test_the_parameters_are_counted_right_whatever_the_number_of_heads(config):
    for num_heads in (1, 2, H, D):
        module = MultiHeadAttention(D, num_heads)
        assert sum(p.numel() for p in module.parameters()) == attention_parameters(D, num_heads, D // num_heads)
    cross = CrossAttention(D, D, H, H, C + 1)
    assert sum(p.numel() for p in cross.parameters()) == attention_parameters(D, H, C + 1)


def test_a_width_that_cannot_be_cut_is_refused():
    with pytest.raises(ConfigError, match=r"embed_dim=10 is not a multiple of num_heads=4.*Try embed_dim=12"):
        MultiHeadAttention(10, 4)
