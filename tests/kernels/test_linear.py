from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gemini_workshop.kernels import linear as module
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.kernels.linear import FastLinear, linear
from gemini_workshop.models.attention_layers import make_attention
from gemini_workshop.models.embeddings import TokenEmbedding
from gemini_workshop.models.feedforward import GatedFeedForward
from tests.models.variants import VARIANTS


def layers(bias, dtype=torch.float32):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return [FastLinear(6, width, bias=bias, dtype=dtype) for width in (5, 3, 4)]


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


CONFIG = VARIANTS["llama"]


def sublayers(qkv_bias=False):
    """An attention and a gated feed-forward layer, accelerated."""
    config = replace(CONFIG, qkv_bias=qkv_bias)
    parts = nn.ModuleList([make_attention(config, config.layers[0]), GatedFeedForward(config.embed_dim, 9, "silu")])
    accelerate(parts)
    return list(parts)


def projections(layer):
    some = (layer.query, layer.key, layer.value) if hasattr(layer, "query") else (layer.gate, layer.up)
    return list(some), torch.randn(2, 7, CONFIG.embed_dim, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("which", [0, 1])
def test_layers_together_equal_each_alone(bias, which):
    layer = sublayers(bias)[which]
    some, x = projections(layer)
    given = (x.requires_grad_(), *(weight for each in some for weight in each.parameters()))
    together, alone = layer.project(x), [each(x) for each in some]
    torch.testing.assert_close(list(together), alone)
    torch.testing.assert_close(gradients(together, given), gradients(alone, given))


def products(monkeypatch, layer):
    """How many products the projections take."""
    called = []
    monkeypatch.setattr(module, "linear", lambda *given: called.append(given) or F.linear(*given))
    layer.project(projections(layer)[1])
    return len(called)


@pytest.mark.parametrize("which", [0, 1])
def test_they_are_one_product_where_gradients_are_needed(monkeypatch, which):
    layer = sublayers()[which]
    assert products(monkeypatch, layer) == 1
    with torch.no_grad():  # there, putting the weights together would cost more than it saves
        assert products(monkeypatch, layer) == len(projections(layer)[0])


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("watch", [nn.Module.register_forward_hook, nn.Module.register_forward_pre_hook])
def test_a_layer_that_is_watched_runs_as_it_is(watch, which):
    layer, seen = sublayers()[which], []
    some, x = projections(layer)
    watch(some[1], lambda *_: seen.append(True))
    layer.project(x)
    assert seen == [True]


@pytest.mark.parametrize("name", ["query", "key", "value"])
def test_a_layer_that_was_replaced_after_acceleration_runs_as_it_is(name):
    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    layer = sublayers()[0]
    (_, x), before = projections(layer), getattr(layer, name)
    number = ["query", "key", "value"].index(name)
    expected = 2 * layer.project(x)[number]
    other = Doubled(before.in_features, before.out_features, bias=False)
    other.weight = before.weight
    setattr(layer, name, other)
    torch.testing.assert_close(layer.project(x)[number], expected)


def test_a_forward_that_was_exchanged_is_called(monkeypatch):
    layer = sublayers()[0]
    _, x = projections(layer)
    monkeypatch.setattr(layer.key, "forward", lambda x: 0 * F.linear(x, layer.key.weight))
    assert not layer.project(x)[1].any()


def test_a_tied_head_is_computed_as_other_products_are(monkeypatch):
    called = []
    monkeypatch.setattr(module, "linear", lambda *given: called.append(given) or F.linear(*given))
    embedding = TokenEmbedding(5, 6)
    accelerate(embedding)
    torch.testing.assert_close(embedding.logits(X), X @ embedding.weight.T)
    assert len(called) == 1
