import pytest
import torch
import torch.nn.functional as F

from gemini_workshop.models.feedforward import ACTIVATIONS, GatedFeedForward, gate_units


@pytest.mark.parametrize(
    ("name", "expected"),
    [("silu", lambda x: x * x.sigmoid()), ("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"))],
)
def test_activations_are_what_their_names_say(generator, name, expected):
    x = torch.randn(13, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(ACTIVATIONS[name](x), expected(x))


def test_the_gate_alone_goes_through_the_activation():
    gate, up = torch.tensor([-1.0, 2.0]), torch.tensor([5.0, -3.0])
    assert gate_units(gate, up, torch.relu).tolist() == [0.0, -6.0]


def test_the_layer_equals_the_equation(config, generator):
    layer = GatedFeedForward.from_config(config).double()
    x = torch.randn(9, 5, 10, generator=generator, dtype=torch.float64)
    gate, up, down = (linear.weight for linear in (layer.gate, layer.up, layer.down))
    torch.testing.assert_close(layer(x), (F.silu(x @ gate.T) * (x @ up.T)) @ down.T)


def test_each_token_is_transformed_by_itself(config, generator):
    layer = GatedFeedForward.from_config(config)
    x = torch.randn(9, 5, 10, generator=generator)
    torch.testing.assert_close(layer(x)[:, 3], layer(x[:, 3]))


def test_there_are_no_biases(config):
    assert {name for name, _ in GatedFeedForward.from_config(config).named_parameters()} == {
        "gate.weight",
        "up.weight",
        "down.weight",
    }
