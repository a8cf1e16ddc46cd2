import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gemini_workshop.models import attention
from gemini_workshop.models.attention import (
    GroupedQueryAttention,
    attention_weights,
    causal_attention,
    fused_causal_attention,
    grouped_query_attention,
    scaled_dot_product_attention,
    softmax,
)
from gemini_workshop.models.embeddings import rotary_cos_sin, rotary_frequencies
from gemini_workshop.models.masks import causal_mask
from tests.models.conftest import B, C, D, H, K, S, T, randomize


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


@pytest.mark.parametrize(("num_queries", "num_keys"), [(1, 1), (T, T), (1, S), (T, S)])
@pytest.mark.parametrize("num_kv_heads", [1, K, H])
def test_the_fused_kernel_equals_the_written_out_attention(draw, num_queries, num_keys, num_kv_heads):
    query = draw(B, H, num_queries, C)
    key, value = draw(B, num_kv_heads, num_keys, C), draw(B, num_kv_heads, num_keys, C)
    torch.testing.assert_close(fused_causal_attention(query, key, value), causal_attention(query, key, value))


@pytest.mark.parametrize("attend", [causal_attention, fused_causal_attention])
def test_a_future_key_cannot_change_a_past_output(draw, attend):
    query, key, value = draw(B, H, T, C), draw(B, K, S, C), draw(B, K, S, C)
    before = attend(query, key, value)
    for position in range(S):
        changed_key, changed_value = key.clone(), value.clone()
        changed_key[:, :, position] += 1
        changed_value[:, :, position] += 1
        difference = (attend(query, changed_key, changed_value) - before).abs().amax(dim=(0, 1, 3))
        sees = torch.arange(S - T, S) >= position
        assert (difference[~sees] == 0).all()
        assert (difference[sees] > 1e-3).all()


# --- The module ---


def rotation(positions: Tensor) -> tuple[Tensor, Tensor]:
    return rotary_cos_sin(positions, rotary_frequencies(C, 100.0).double())


@pytest.fixture
def layer(config, generator):
    layer = GroupedQueryAttention(config).double()
    randomize(layer, generator)
    return layer


def test_the_layer_is_projections_rotation_and_attention_written_out(layer, draw):
    x = draw(B, T, D)
    heads = {
        "query": (layer.query(x).view(B, T, H, C), layer.query_norm),
        "key": (layer.key(x).view(B, T, K, C), layer.key_norm),
    }
    cos, sin = (half.repeat(1, 2) for half in rotation(torch.arange(T)))
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
