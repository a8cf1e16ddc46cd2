from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from gemini_workshop.config import MoEConfig
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.experts import dense_moe_forward
from gemini_workshop.models.feedforward import CLAMPED_SWISH, gate_halves
from gemini_workshop.models.moe import (
    MixtureOfExperts,
    auxiliary_loss,
    expert_loads,
    recorded_routing,
    update_selection_bias,
)
from gemini_workshop.models.routing import expert_load, load_balancing_loss, route, router_z_loss

B, T, D, F, E, A = 4, 7, 10, 11, 8, 3
PLAIN = MoEConfig(num_experts=E, experts_per_token=A, expert_dim=F)
GROUPS = {"num_experts": 12, "num_groups": 4, "kept_groups": 2, "experts_per_token": 4}
CONFIGS = {
    "softmax": PLAIN,
    "not renormalized": replace(PLAIN, renormalize=False),
    "one expert each": replace(PLAIN, experts_per_token=1, renormalize=False),
    "all experts": replace(PLAIN, experts_per_token=E),
    "gpt-oss": replace(PLAIN, scoring="softmax_of_chosen", router_bias=True, expert_bias=True),
    "deepseek-v2": replace(PLAIN, renormalize=False, routed_scale=1.7, shared_experts=2, **GROUPS),
    "deepseek-v3": replace(
        PLAIN,
        scoring="sigmoid",
        selection_bias=True,
        group_score="top2_sum",
        routed_scale=2.5,
        shared_experts=1,
        **GROUPS,
    ),
    "gemma 4": replace(PLAIN, router_norm=True, per_expert_scale=True),
}


def randomize(module: nn.Module, generator: torch.Generator) -> None:
    """Draw all parameters and buffers afresh, matrices by their fan-in, so that nothing is 0 or 1."""
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.normal_(generator=generator)
            tensor.mul_(1.2 * tensor.shape[-1] ** -0.5) if tensor.ndim > 1 else tensor.mul_(0.5).add_(0.3)


@pytest.fixture
def x(generator):
    return torch.randn(B, T, D, generator=generator, dtype=torch.float64)


@pytest.fixture(params=["plain", "accelerated"])
def make(generator, request):
    def build(config: MoEConfig, activation: str = "silu") -> MixtureOfExperts:
        layer = MixtureOfExperts(D, config, activation).double()
        randomize(layer, generator)
        if request.param == "accelerated":
            accelerate(layer)
        return layer

    return build


def by_definition(layer: MixtureOfExperts, x: torch.Tensor) -> torch.Tensor:
    """Each token of the output, expert by expert, in a loop."""
    routing, experts = layer.router(x.flatten(0, -2)), layer.experts
    output = []
    for n, token in enumerate(x.flatten(0, -2)):
        total = torch.zeros(D, dtype=x.dtype)
        for e, weight, kept in zip(routing.experts[n], routing.weights[n], routing.kept[n], strict=True):
            projected = experts.gate_up[e] @ token
            projected = projected if experts.gate_up_bias is None else projected + experts.gate_up_bias[e]
            answer = experts.down[e] @ gate_halves(projected, experts.activation)
            total = total + weight * kept * (answer if experts.down_bias is None else answer + experts.down_bias[e])
        output.append(total if layer.shared is None else total + layer.shared(token))
    return torch.stack(output).view(x.shape)


def gradients(output: torch.Tensor, of: list[torch.Tensor]) -> list[torch.Tensor]:
    direction = torch.randn(output.shape, generator=torch.Generator().manual_seed(5)).to(output.dtype)
    found = torch.autograd.grad(output, of, direction, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(t) if g is None else g for g, t in zip(found, of, strict=True)]


@pytest.mark.parametrize("activation", ["relu", "relu_squared", "gelu", "gelu_tanh", "silu"])
@pytest.mark.parametrize("name", ["softmax", "gpt-oss"])
def test_the_layer_is_its_definition_and_so_are_its_gradients(name, activation, make, x):
    layer = make(CONFIGS[name], activation)
    of = [x.requires_grad_(), *layer.parameters()]
    output, expected = layer(x), by_definition(layer, x)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(gradients(output, of), gradients(expected, of))


def run_dense(layer: MixtureOfExperts, x: torch.Tensor) -> torch.Tensor:
    experts = layer.experts
    output = dense_moe_forward(x.flatten(0, -2), layer.router(x.flatten(0, -2)), experts.weights()).view(x.shape)
    return output if layer.shared is None else output + layer.shared(x)


@pytest.mark.parametrize("name", CONFIGS)
def test_sparse_equals_dense_gradients_included(name, make, x):
    layer = make(CONFIGS[name])
    of = [x.requires_grad_(), *layer.parameters()]
    output, expected = layer(x), run_dense(layer, x)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(gradients(output, of), gradients(expected, of))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_gradient_reaches_every_parameter(name, make, x):
    layer = make(CONFIGS[name])
    for parameter, gradient in zip(
        layer.state_dict(keep_vars=True).items(), gradients(layer(x), list(layer.parameters())), strict=False
    ):
        assert gradient.any(), parameter[0]


@pytest.mark.parametrize("name", ["softmax", "gpt-oss"])
@pytest.mark.parametrize("factor", [0.3, 0.8])
def test_dropped_choices_add_nothing_and_the_rest_is_as_dense(name, factor, make, x):
    layer = make(replace(CONFIGS[name], capacity_factor=factor))
    kept = layer.router(x.flatten(0, -2)).kept
    assert 0 < kept.float().mean() < 1
    of = [x.requires_grad_(), *layer.parameters()]
    output, expected = layer(x), run_dense(layer, x)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(gradients(output, of), gradients(expected, of))
    weightless = [n for n in range(B * T) if not kept[n].any()]
    assert not output.flatten(0, -2)[weightless].any()
    assert weightless or factor > 0.5


def test_nothing_is_dropped_outside_training(make, x):
    layer = make(replace(PLAIN, capacity_factor=0.3)).eval()
    assert layer.router(x.flatten(0, -2)).kept.all()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_tokens_output_does_not_depend_on_its_neighbours(name, make, x):
    layer = make(CONFIGS[name])
    torch.testing.assert_close(layer(x)[2, 3], layer(x[2:3, 3:4])[0, 0])
    torch.testing.assert_close(layer(x.flip(1)).flip(1), layer(x))


def test_the_order_of_the_experts_means_nothing(make, x, generator):
    layer = make(replace(CONFIGS["gpt-oss"], selection_bias=True, per_expert_scale=True))
    before, order = layer(x), torch.randperm(E, generator=generator)
    with torch.no_grad():
        for name, tensor in layer.state_dict().items():
            if name != "router.scale":
                tensor.copy_(tensor[order].clone())
    torch.testing.assert_close(layer(x), before)


def test_equal_experts_answer_as_one(make, x):
    layer = make(PLAIN)
    with torch.no_grad():
        for weight in (layer.experts.gate_up, layer.experts.down):
            weight.copy_(weight[:1].clone().expand_as(weight))
    gate_up, down = layer.experts.gate_up[0], layer.experts.down[0]
    torch.testing.assert_close(layer(x), gate_halves(x @ gate_up.T, "silu") @ down.T)


def test_experts_that_nobody_chose_get_a_gradient_of_zero(make, x):
    layer = make(CONFIGS["gpt-oss"])
    with torch.no_grad():
        layer.router.bias[3] = -100.0
    layer(x).sum().backward()
    for weight in layer.experts.parameters():
        assert [bool(grad.any()) for grad in weight.grad] == [e != 3 for e in range(E)]


def test_no_tokens_are_no_problem(make):
    layer = make(PLAIN)
    nothing = torch.zeros(0, T, D, dtype=torch.float64, requires_grad=True)
    layer(nothing).sum().backward()
    assert nothing.grad.shape == (0, T, D)


def test_the_clamped_gate_is_bounded_and_open_at_zero():
    assert gate_halves(torch.tensor([1.0, 0.0]), CLAMPED_SWISH).item() == pytest.approx(
        torch.tensor(1.702).sigmoid().item()
    )
    assert gate_halves(torch.tensor([99.0, 99.0]), CLAMPED_SWISH).item() == pytest.approx(7.0 * 8.0, rel=1e-4)
    assert gate_halves(torch.tensor([99.0, -99.0]), CLAMPED_SWISH).item() == pytest.approx(7.0 * -6.0, rel=1e-4)


def test_the_router_may_read_something_else_than_the_experts(make, x):
    layer = make(PLAIN)
    torch.testing.assert_close(layer(x, router_input=x), layer(x))
    other = layer(x, router_input=-x)
    assert not torch.allclose(other, layer(x))
    expected = layer.experts(x.flatten(0, -2), layer.router(-x.flatten(0, -2)))
    torch.testing.assert_close(other, expected.view(x.shape))


def test_under_autocast_experts_compute_in_bfloat16_and_the_router_does_not(make, x):
    layer, x = make(PLAIN).float(), x.float().requires_grad_()
    exact = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16), recorded_routing(layer) as routings:
        rounded = layer(x)
    assert rounded.dtype == torch.bfloat16
    assert torch.equal(routings[0].logits, layer.router(x.flatten(0, -2)).logits)
    torch.testing.assert_close(rounded.float(), exact, rtol=0.05, atol=0.05)
    rounded.float().square().sum().backward()
    assert {weight.grad.dtype for weight in layer.parameters()} == {torch.float32}


def test_a_layer_in_bfloat16_routes_in_float32(make, x):
    layer = make(CONFIGS["gemma 4"]).bfloat16()
    routing = layer.router(x.flatten(0, -2).bfloat16())
    assert (routing.logits.dtype, layer(x.bfloat16()).dtype) == (torch.float32, torch.bfloat16)


class TwoLayers(nn.Module):
    def __init__(self, checkpointed: bool = False) -> None:
        super().__init__()
        config = replace(PLAIN, selection_bias=True)
        self.layers = nn.ModuleList(MixtureOfExperts(D, config, "silu").double() for _ in range(2))
        self.checkpointed = checkpointed
        randomize(self, torch.Generator().manual_seed(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = x + (checkpoint(layer, x, use_reentrant=False) if self.checkpointed else layer(x))
        return x


def test_the_recorded_routing_is_that_of_the_latest_forward_pass_layer_by_layer(x):
    model = TwoLayers()
    with recorded_routing(model) as routings:
        assert routings == []
        model(x + 1)
        model(x)
    first = model.layers[0]
    expected = [first.router(x.flatten(0, -2)), model.layers[1].router((x + first(x)).flatten(0, -2))]
    assert [r.logits.tolist() for r in routings] == [e.logits.tolist() for e in expected]
    model(x + 1)
    assert routings[0].logits.tolist() == expected[0].logits.tolist()


def test_gradient_checkpointing_changes_neither_losses_nor_gradients(x):
    found = []
    for model in (TwoLayers(), TwoLayers(checkpointed=True)):
        with recorded_routing(model) as routings:
            loss = model(x).square().mean() + auxiliary_loss(routings, PLAIN)
            loss.backward()
        assert len(routings) == 2
        found.append([loss.detach(), *(weight.grad for weight in model.parameters())])
    torch.testing.assert_close(*found)


def test_the_auxiliary_loss_is_the_weighted_mean_of_the_layers_losses(x):
    with recorded_routing(model := TwoLayers()) as routings:
        model(x)
    config = replace(PLAIN, balance_weight=0.3, z_weight=0.07)
    expected = [
        0.3 * load_balancing_loss(r.probabilities, expert_load(r.experts, E)) + 0.07 * router_z_loss(r.logits)
        for r in routings
    ]
    torch.testing.assert_close(auxiliary_loss(routings, config), (expected[0] + expected[1]) / 2)
    auxiliary_loss(routings, config).backward()
    assert all(layer.router.weight.grad.any() for layer in model.layers)


def test_opposite_collapses_of_two_layers_do_not_look_balanced():
    left = torch.where(torch.arange(E) < E // 2, 9.0, 0.0).expand(20, E)
    routings = [route(logits, E // 2) for logits in (left, left.flip(-1))]
    config = replace(PLAIN, balance_weight=1.0, z_weight=0.0)
    assert auxiliary_loss(routings, config).item() == pytest.approx(2.0, rel=1e-3)
    pooled = [torch.cat([getattr(routing, name) for routing in routings]) for name in ("probabilities", "experts")]
    assert load_balancing_loss(pooled[0], expert_load(pooled[1], E)).item() == pytest.approx(1.0)


def test_the_selection_bias_moves_against_the_load_in_each_layer(x):
    model = TwoLayers()
    before = [layer.router.selection_bias.clone() for layer in model.layers]
    with recorded_routing(model) as routings:
        model(x)
    update_selection_bias(model, expert_loads(routings))
    for layer, old, routing in zip(model.layers, before, routings, strict=True):
        counts = torch.bincount(routing.experts.flatten(), minlength=E).double()
        step = PLAIN.bias_rate * (counts.mean() - counts).sign()
        torch.testing.assert_close(layer.router.selection_bias, old + step)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_state_has_the_promised_names_and_shapes(name, make):
    config = CONFIGS[name]
    experts, shared = config.num_experts, config.shared_experts * F
    promised = {
        "router.weight": (experts, D),
        "experts.gate_up": (experts, 2 * F, D),
        "experts.down": (experts, D, F),
        **({"router.bias": (experts,)} if config.router_bias else {}),
        **({"router.scale": (D,)} if config.router_norm else {}),
        **({"router.expert_scale": (experts,)} if config.per_expert_scale else {}),
        **({"router.selection_bias": (experts,)} if config.selection_bias else {}),
        **({"experts.gate_up_bias": (experts, 2 * F), "experts.down_bias": (experts, D)} if config.expert_bias else {}),
        **({"shared.gate.weight": (shared, D), "shared.up.weight": (shared, D)} if shared else {}),
        **({"shared.down.weight": (D, shared)} if shared else {}),
    }
    assert {key: tuple(value.shape) for key, value in make(config).state_dict().items()} == promised
