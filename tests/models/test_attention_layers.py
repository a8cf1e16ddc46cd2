from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gemini_workshop.config import LatentAttentionConfig
from gemini_workshop.models import attention
from gemini_workshop.models.attention import causal_attention
from gemini_workshop.models.attention_layers import CrossAttention, GroupedQueryAttention
from gemini_workshop.models.embeddings import Rotation, apply_rotary, rotary_cos_sin, rotary_frequencies, rotate
from gemini_workshop.models.latent_attention import LatentAttention
from tests.models.conftest import B, C, D, H, K, S, T, randomize


@pytest.fixture
def draw(generator):
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def rotation(positions: Tensor) -> Rotation:
    return Rotation(*rotary_cos_sin(positions, rotary_frequencies(C, 100.0).double()), "half")


@pytest.fixture
def layer(config, generator):
    layer = GroupedQueryAttention(config, config.layers[0]).double()
    randomize(layer, generator)
    return layer


def test_the_layer_is_projections_rotation_and_attention_written_out(layer, draw):
    x = draw(B, T, D)
    heads = {
        "query": (layer.query(x).view(B, T, H, C), layer.query_norm),
        "key": (layer.key(x).view(B, T, K, C), layer.key_norm),
    }
    cos, sin = (half.repeat(1, 2) for half in rotation(torch.arange(T))[:2])
    turned = {}
    for name, (head, norm) in heads.items():
        head = F.rms_norm(head, (C,), norm.weight, 1e-6).transpose(1, 2)
        quarter_turn = torch.cat([-head[..., C // 2 :], head[..., : C // 2]], dim=-1)
        turned[name] = head * cos + quarter_turn * sin
    value = layer.value(x).view(B, T, K, C).transpose(1, 2)
    key, value = turned["key"].repeat_interleave(H // K, 1), value.repeat_interleave(H // K, 1)
    mixed = F.scaled_dot_product_attention(turned["query"], key, value, is_causal=True)
    expected = layer.output(mixed.transpose(1, 2).reshape(B, T, H * C))
    torch.testing.assert_close(layer(x, rotation(torch.arange(T))), expected, rtol=1e-6, atol=1e-6)


def test_only_distances_matter_to_the_layer(layer, draw):
    x = draw(B, T, D)
    here, there = layer(x, rotation(torch.arange(T))), layer(x, rotation(torch.arange(40, 40 + T)))
    torch.testing.assert_close(here, there)


class Store:
    """The smallest key/value store: what a layer is promised by the protocol."""

    def __init__(self) -> None:
        self.key: Tensor | None = None
        self.value: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self.key is None else self.key.shape[2]

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        self.key = key if self.key is None else torch.cat([self.key, key], dim=2)
        self.value = value if self.value is None else torch.cat([self.value, value], dim=2)
        return self.key, self.value

    def stored(self) -> tuple[Tensor, Tensor]:
        return self.key, self.value


@pytest.mark.parametrize("pieces", [[5], [1, 1, 1, 1, 1], [2, 3], [3, 1, 1]])
def test_reading_in_pieces_through_a_store_equals_reading_at_once(layer, draw, pieces):
    x, store, results = draw(B, T, D), Store(), []
    for piece in x.split(pieces, dim=1):
        positions = torch.arange(len(store), len(store) + piece.shape[1])
        results.append(layer(piece, rotation(positions), store))
    torch.testing.assert_close(torch.cat(results, dim=1), layer(x, rotation(torch.arange(T))))


def test_the_layer_calls_the_functions_of_its_module_by_name(layer, draw, monkeypatch):
    """So that a learner's function can take the reference's place."""
    monkeypatch.setattr(attention, "scaled_dot_product_attention", lambda query, *_: 0 * query)
    layer.attend = causal_attention
    assert layer(draw(B, T, D), rotation(torch.arange(T))).abs().max() == 0


def test_a_part_of_the_head_turns_and_the_rest_stays(draw):
    x, angles = draw(B, H, T, C), draw(T, C // 4)
    turned = rotate(x, Rotation(angles.cos(), angles.sin(), "half"))
    assert torch.equal(turned[..., C // 2 :], x[..., C // 2 :])
    assert torch.equal(turned[..., : C // 2], apply_rotary(x[..., : C // 2], angles.cos(), angles.sin()))
    assert rotate(x, None) is x


def test_a_norm_over_all_heads_is_one_norm_of_the_whole_projection(config, generator, draw):
    config = replace(config, qk_norm="all_heads")
    layer = GroupedQueryAttention(config, config.layers[0]).double()
    randomize(layer, generator)
    heads = draw(B, H, T, C)
    expected = F.rms_norm(heads.transpose(1, 2).reshape(B, T, H * C), (H * C,), layer.query_norm.weight, 1e-6)
    torch.testing.assert_close(layer.query_norm(heads), expected.view(B, T, H, C).transpose(1, 2))


# --- Latent attention ---


@pytest.fixture(params=[None, 7], ids=["direct queries", "queries through a bottleneck"])
def latent_layer(request, config, generator):
    latent = LatentAttentionConfig(kv_rank=9, query_rank=request.param, content_dim=6, rope_dim=4, value_dim=8)
    config = replace(config, latent=latent, head_dim=10, num_kv_heads=H)
    layer = LatentAttention(config, config.layers[0]).double()
    randomize(layer, generator)
    return layer


def test_latent_attention_is_multi_head_attention_with_unpacked_keys(latent_layer, draw):
    x, turning = draw(B, T, D), rotation(torch.arange(T))
    packed = latent_layer.latent_down(x)
    latent = latent_layer.latent_norm(packed[..., :9])
    unpacked = latent_layer.latent_up(latent).view(B, T, H, 6 + 8).transpose(1, 2)
    shared = rotate(packed[:, None, :, 9:], turning).expand(B, H, T, 4)
    key = torch.cat([unpacked[..., :6], shared], dim=-1)
    if latent_layer.latent.query_rank is None:
        query = latent_layer.query(x)
    else:
        query = latent_layer.query_up(latent_layer.query_down_norm(latent_layer.query_down(x)))
    query = query.view(B, T, H, 10).transpose(1, 2)
    query = torch.cat([query[..., :6], rotate(query[..., 6:], turning)], dim=-1)
    mixed = F.scaled_dot_product_attention(query, key, unpacked[..., 6:], is_causal=True)
    expected = latent_layer.output(mixed.transpose(1, 2).reshape(B, T, H * 8))
    torch.testing.assert_close(latent_layer(x, turning), expected)


@pytest.mark.parametrize("pieces", [[5], [1, 1, 1, 1, 1], [2, 3], [3, 1, 1]])
def test_attending_to_the_latent_vectors_equals_unpacking_them(latent_layer, draw, pieces):
    x, store, results = draw(B, T, D), Store(), []
    for piece in x.split(pieces, dim=1):
        positions = torch.arange(len(store), len(store) + piece.shape[1])
        results.append(latent_layer(piece, rotation(positions), store))
    torch.testing.assert_close(torch.cat(results, dim=1), latent_layer(x, rotation(torch.arange(T))))


def test_only_the_latent_vector_and_one_key_are_stored(latent_layer, draw):
    store = Store()
    latent_layer(draw(B, T, D), rotation(torch.arange(T)), store)
    assert store.key.shape == (B, 1, T, 9 + 4)
    assert store.value.numel() == 0


# --- Cross-attention ---


def cross(generator, **kwargs) -> CrossAttention:
    layer = CrossAttention(D, context_dim=11, num_heads=H, num_kv_heads=K, head_dim=C, **kwargs).double()
    randomize(layer, generator)
    return layer


def test_cross_attention_equals_torchs_attention_over_the_context(generator, draw):
    layer, x, context = cross(generator), draw(B, T, D), draw(B, S, 11)
    heads = [
        part.unflatten(-1, (-1, C)).transpose(1, 2)
        for part in (layer.query(x), layer.key(context), layer.value(context))
    ]
    mixed = F.scaled_dot_product_attention(*heads, enable_gqa=True)
    torch.testing.assert_close(layer(x, context), layer.output(mixed.transpose(1, 2).flatten(2)))


def test_a_masked_part_of_the_context_is_not_seen(generator, draw):
    layer, x, context = cross(generator), draw(B, T, D), draw(B, S, 11)
    mask = torch.ones(T, S, dtype=torch.bool)
    mask[:, 2:4] = False
    torch.testing.assert_close(layer(x, context, mask), layer(x, context[:, [0, 1, 4, 5, 6]]))


def test_a_gated_layer_is_silent_at_first_and_opens_with_its_gate(generator, draw):
    x, context = draw(B, T, D), draw(B, S, 11)
    assert CrossAttention(D, 11, H, K, C, gated=True).double()(x, context).abs().max() == 0
    layer = cross(generator, gated=True)
    with torch.no_grad():
        layer.gate.fill_(0.5)
    opened = layer(x, context)
    layer.gate = None
    torch.testing.assert_close(opened, torch.tanh(torch.tensor(0.5).double()) * layer(x, context))
