"""The plain mixture of experts is the package's layer with fewer choices: same experts, same numbers."""

import pytest
import torch

from gemini_workshop.models.feedforward import GatedFeedForward
from gemini_workshop.models.plain_moe import moe_forward, top_k_routing
from gemini_workshop.models.routing import route

N, D, E, A = 17, 6, 5, 2


@pytest.mark.parametrize("bias", [None, torch.tensor([0.0, 0.5, -0.5, 0.2, 0.0])])
def test_the_plain_choice_is_that_of_the_package(bias, generator):
    logits = torch.randn(N, E, generator=generator)
    experts, weights = top_k_routing(logits, A, bias)
    routing = route(logits, A, selection_bias=bias)
    assert torch.equal(experts, routing.experts)
    torch.testing.assert_close(weights, routing.weights)


def test_each_token_gets_the_weighted_sum_of_its_experts_gradients_included(generator):
    torch.manual_seed(0)
    layers = [GatedFeedForward(D, 7, "silu") for _ in range(E)]
    x = torch.randn(N, D, generator=generator, requires_grad=True)
    experts, weights = top_k_routing(torch.randn(N, E, generator=generator), A)
    output = moe_forward(x, experts, weights, layers)
    rows = [sum(w * layers[e](x[n]) for e, w in zip(experts[n], weights[n], strict=True)) for n in range(N)]
    torch.testing.assert_close(output, torch.stack(rows))
    of = [x, *(weight for layer in layers for weight in layer.parameters())]
    sparse, slow = (torch.autograd.grad(y.square().sum(), of) for y in (output, torch.stack(rows)))
    torch.testing.assert_close(sparse, slow)


def test_an_expert_that_nobody_chose_is_given_no_rows():
    seen = []
    layers = [lambda x, e=e: (seen.append((e, len(x))), x)[1] for e in range(E)]
    moe_forward(torch.ones(3, D), torch.tensor([[4, 1], [1, 0], [1, 4]]), torch.ones(3, 2), layers)
    assert seen == [(0, 1), (1, 3), (2, 0), (3, 0), (4, 2)]
