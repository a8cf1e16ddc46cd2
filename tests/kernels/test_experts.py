import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from gemini_workshop.kernels.experts import experts_one_by_one, grouped_experts, prefers_grouped_mm
from gemini_workshop.models.experts import ExpertWeights
from gemini_workshop.models.moe import MixtureOfExperts
from tests.models.test_moe import CONFIGS, gradients, randomize


@pytest.mark.skipif(not hasattr(torch.nn.functional, "grouped_mm"), reason="this PyTorch has no grouped_mm")
@pytest.mark.parametrize("name", ["softmax", "gpt-oss"])
def test_the_grouped_kernel_gives_what_the_experts_give_one_by_one(name):
    generator = torch.Generator().manual_seed(0)
    config = replace(CONFIGS[name], expert_dim=24, capacity_factor=0.8)
    layer = MixtureOfExperts(16, config, "silu")
    randomize(layer, generator)
    x = torch.randn(37, 16, generator=generator, requires_grad=True)
    experts, routing = layer.experts, layer.router(x)
    weights = experts.weights()
    of = [x, *layer.parameters()]
    grouped, alone = grouped_experts(x, routing, weights), experts_one_by_one(x, routing, weights)
    torch.testing.assert_close(grouped, alone, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradients(grouped, of), gradients(alone, of), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not hasattr(torch.nn.functional, "grouped_mm"), reason="this PyTorch has no grouped_mm")
@pytest.mark.parametrize(
    ("num_choices", "width", "dtype", "needs_gradient", "is_grouped"),
    [
        (128, 16, torch.float32, True, True),
        (129, 16, torch.float32, True, False),
        (128, 15, torch.float32, True, False),
        (128, 16, torch.bfloat16, True, False),
        (128, 16, torch.float32, False, False),
    ],
)
def test_on_a_cpu_gradients_of_few_rows_take_the_grouped_kernel(num_choices, width, dtype, needs_gradient, is_grouped):
    gate_up, down = torch.zeros(4, 2 * width, 8, requires_grad=True), torch.zeros(4, 8, width, requires_grad=True)
    with torch.set_grad_enabled(needs_gradient):
        experts = ExpertWeights(gate_up=gate_up, down=down, activation="silu")
        assert prefers_grouped_mm(torch.zeros(5, 8, dtype=dtype), num_choices, experts) == is_grouped


COMPILED = """
import torch
from gemini_workshop.config import MoEConfig
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.moe import MixtureOfExperts, auxiliary_loss, recorded_routing

class Recording(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        with recorded_routing(self.layer) as routings:
            output = self.layer(x)
        return output.square().sum() + auxiliary_loss(routings, config)

for bias, capacity in ((False, None), (True, 0.7)):
    config = MoEConfig(num_experts=6, experts_per_token=2, expert_dim=11, expert_bias=bias, capacity_factor=capacity)
    layer = MixtureOfExperts(10, config, "silu")
    accelerate(layer)
    for module in (layer, Recording(layer)):
        compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
        for tokens in (5, 9):
            x = torch.randn(3, tokens, 10, requires_grad=True)
            (compiled_gradient,) = torch.autograd.grad(compiled(x).square().sum(), x)
            torch.testing.assert_close(compiled_gradient, torch.autograd.grad(module(x).square().sum(), x)[0])
"""


def test_the_layer_compiles_as_one_graph_also_while_its_routing_is_recorded():
    """In a process of its own: the shape checks of the tests are Python that does not compile."""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
