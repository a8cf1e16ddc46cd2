import pytest
import torch
from torch import nn

from gemini_workshop.models.projections import project


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return [nn.Linear(5, 7).double(), nn.Linear(5, 3).double()]


def gradients(x, outputs, layers):
    loss = sum((output * torch.arange(output.shape[-1])).square().sum() for output in outputs)
    return torch.autograd.grad(loss, [x, *(weight for layer in layers for weight in layer.parameters())])


def test_one_product_gives_the_values_and_gradients_of_several(layers):
    x = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)
    together, apart = project(x, layers), [layer(x) for layer in layers]
    torch.testing.assert_close(list(together), apart)
    torch.testing.assert_close(gradients(x, together, layers), gradients(x, apart, layers))


def test_with_gradients_plain_layers_are_read_not_called(layers, monkeypatch):
    monkeypatch.setattr(nn.Linear, "forward", None)
    assert [output.shape[-1] for output in project(torch.zeros(1, 5, dtype=torch.float64), layers)] == [7, 3]


class Doubled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def test_layers_that_are_more_than_plain_are_called(layers):
    x = torch.randn(4, 5, dtype=torch.float64)
    layers[1] = Doubled(5, 3).double()
    torch.testing.assert_close(project(x, layers)[1], layers[1](x))


def test_who_listens_to_a_layer_hears_it(layers):
    heard = []
    layers[0].register_forward_hook(lambda _layer, _inputs, output: heard.append(output))
    first, _ = project(torch.randn(4, 5, dtype=torch.float64), layers)
    assert heard == [first]


def test_without_gradients_each_layer_is_called(layers, monkeypatch):
    calls = []
    original = nn.Linear.forward
    monkeypatch.setattr(nn.Linear, "forward", lambda layer, x: calls.append(layer) or original(layer, x))
    with torch.inference_mode():
        project(torch.zeros(1, 5, dtype=torch.float64), layers)
    assert calls == layers
