import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.models.feedforward import (
    ACTIVATIONS,
    FeedForward,
    GatedFeedForward,
    dense_feed_forward,
    gate_units,
    gated_ffn_dim,
    gelu,
)


@pytest.fixture
def draw(generator):
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", lambda x: x.clamp(min=0)),
        ("relu_squared", lambda x: x.clamp(min=0) ** 2),
        ("silu", lambda x: x * x.sigmoid()),
        ("gelu", lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))),
        ("gelu_tanh", lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    ],
)
def test_activations_are_what_their_names_say(draw, name, expected):
    x = draw(13)
    torch.testing.assert_close(ACTIVATIONS[name](x), expected(x))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_the_written_out_gelu_equals_pytorchs_in_values_and_slopes(approximate):
    x = torch.linspace(-9, 9, 181, dtype=torch.float64, requires_grad=True)
    ours, theirs = gelu(x, approximate), F.gelu(x, approximate=approximate)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    slopes = [torch.autograd.grad(y.sum(), x)[0] for y in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-12)


def test_the_two_gelus_differ_by_less_than_half_a_thousandth_and_not_by_nothing():
    x = torch.linspace(-9, 9, 1801, dtype=torch.float64)
    assert 4e-4 < (gelu(x) - gelu(x, "tanh")).abs().max() < 5e-4


@pytest.mark.parametrize(("embed_dim", "ffn_dim"), [(192, 768), (10, 30), (64, 192)])
def test_two_thirds_of_the_width_give_a_gated_layer_the_same_number_of_parameters(embed_dim, ffn_dim):
    plain = FeedForward(embed_dim, ffn_dim, "gelu")
    gated = GatedFeedForward(embed_dim, gated_ffn_dim(ffn_dim), "gelu")
    assert sum(w.numel() for w in plain.parameters()) == sum(w.numel() for w in gated.parameters())


@pytest.mark.parametrize(
    ("ffn_dim", "multiple_of", "expected"),
    [(768, 1, 512), (100, 1, 67), (1000, 64, 640), (16384, 256, 11008)],
)
def test_the_gated_width_is_the_nearest_multiple(ffn_dim, multiple_of, expected):
    assert gated_ffn_dim(ffn_dim, multiple_of) == expected


def test_the_gate_alone_goes_through_the_activation():
    gate, up = torch.tensor([-1.0, 2.0]), torch.tensor([5.0, -3.0])
    assert gate_units(gate, up, torch.relu).tolist() == [0.0, -6.0]


def layer_of(config, **changes):
    config = replace(config, **changes)
    return dense_feed_forward(config, config.layers[0]).double()


def test_the_gated_layer_equals_the_equation(config, draw):
    layer, x = layer_of(config), draw(9, 5, 10)
    gate, up, down = (linear.weight for linear in (layer.gate, layer.up, layer.down))
    torch.testing.assert_close(layer(x), (F.silu(x @ gate.T) * (x @ up.T)) @ down.T)


def test_the_plain_layer_equals_the_equation(config, draw):
    layer, x = layer_of(config, gated=False, feed_forward_bias=True, activation="gelu"), draw(9, 5, 10)
    hidden = F.gelu(x @ layer.up.weight.T + layer.up.bias)
    torch.testing.assert_close(layer(x), hidden @ layer.down.weight.T + layer.down.bias)


def test_each_token_is_transformed_by_itself(config, draw):
    layer, x = layer_of(config), draw(9, 5, 10)
    torch.testing.assert_close(layer(x)[:, 3], layer(x[:, 3]))


@pytest.mark.parametrize("gated", [True, False])
def test_there_are_biases_only_on_demand(config, gated):
    matrices = ["gate", "up", "down"] if gated else ["up", "down"]
    for bias, kinds in ((False, ["weight"]), (True, ["weight", "bias"])):
        layer = layer_of(config, gated=gated, feed_forward_bias=bias)
        assert [name for name, _ in layer.named_parameters()] == [f"{m}.{kind}" for m in matrices for kind in kinds]
