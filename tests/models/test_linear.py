import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gemini_workshop.models import linear as module
from gemini_workshop.models.linear import Linear, linear, project


def layers(bias, dtype=torch.float32):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return [Linear(6, width, bias=bias, dtype=dtype) for width in (5, 3, 4)]


X = torch.randn(2, 7, 6, generator=torch.Generator().manual_seed(1))


def gradients(outputs, inputs):
    return torch.autograd.grad(sum(output.square().sum() for output in outputs), inputs)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(2, 7, 6), (5, 6), (6,)])
def test_it_is_pytorchs_linear_layer(bias, shape):
    layer, x = layers(bias)[0], torch.randn(shape, requires_grad=True)
    given = (x, *layer.parameters())
    ours, theirs = layer(x), F.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradients([ours], given), gradients([theirs], given))


def test_what_is_frozen_gets_no_gradient():
    layer, x = layers(bias=True)[0], X.clone()
    layer.weight.requires_grad_(False)
    layer(x).sum().backward()
    assert x.grad is None
    assert layer.weight.grad is None
    torch.testing.assert_close(layer.bias.grad, torch.full((5,), 14.0))


def test_its_gradient_has_a_gradient():
    weight, bias = layers(bias=True, dtype=torch.float64)[0].parameters()
    x = X[0].double().requires_grad_()
    assert torch.autograd.gradcheck(module._Linear.apply, (x, weight, bias))
    assert torch.autograd.gradgradcheck(module._Linear.apply, (x, weight, bias))


def test_under_autocast_products_are_in_its_dtype():
    weight = torch.ones(3, 6, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        product = linear(X, weight)
    assert product.dtype == torch.bfloat16
    product.sum().backward()
    assert weight.grad.dtype == torch.float32


@pytest.mark.parametrize("bias", [True, False])
def test_layers_together_equal_each_alone(bias):
    some, x = layers(bias), X.clone().requires_grad_()
    given = (x, *(weight for layer in some for weight in layer.parameters()))
    together, alone = project(x, some), [layer(x) for layer in some]
    assert [output.shape[-1] for output in together] == [5, 3, 4]
    torch.testing.assert_close(list(together), alone)
    torch.testing.assert_close(gradients(together, given), gradients(alone, given))


def products(monkeypatch, x, some):
    """How many products they take."""
    called = []
    monkeypatch.setattr(module, "linear", lambda *given: called.append(given) or F.linear(*given))
    project(x, some)
    return len(called)


def test_they_are_one_product_where_gradients_are_needed(monkeypatch):
    assert products(monkeypatch, X, layers(bias=True)) == 1
    with torch.no_grad():  # there, putting the weights together would cost more than it saves
        assert products(monkeypatch, X, layers(bias=True)) == 3


@pytest.mark.parametrize("watch", [Linear.register_forward_hook, Linear.register_forward_pre_hook])
def test_a_layer_that_is_watched_runs_as_it_is(watch):
    some, seen = layers(bias=True), []
    watch(some[1], lambda *_: seen.append(True))
    project(X, some)
    assert seen == [True]


def test_a_layer_that_was_replaced_runs_as_it_is():
    class Doubled(Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    some = layers(bias=False)
    other = Doubled(6, 5, bias=False)
    other.weight = some[0].weight
    torch.testing.assert_close(project(X, [other, some[1]])[0], 2 * some[0](X))
    torch.testing.assert_close(project(X, [nn.Identity(), some[1]])[0], X)
