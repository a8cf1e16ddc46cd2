from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from gemini_workshop.config import MoEConfig
from gemini_workshop.models.transformer import Transformer, hidden_matrices
from gemini_workshop.training.objective import NextTokenPrediction
from gemini_workshop.training.optimizers.muon import COEFFICIENTS, Muon, muon_optimizer, newton_schulz
from gemini_workshop.training.resume import optimizer_tensors
from gemini_workshop.training.state import TrainingState

SHAPES = [(6, 9), (9, 6), (6, 9), (8, 8), (5, 7)]


def parameters(generator: torch.Generator, dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    return [nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in SHAPES]


def draw_gradients(weights: list[nn.Parameter], generator: torch.Generator) -> None:
    for weight in weights:
        weight.grad = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)


def muon_group(weights: list[nn.Parameter], **settings: float) -> list[dict]:
    return [{"params": weights, "use_muon": True, **settings}]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


# --- Newton-Schulz ---


@pytest.mark.parametrize("shape", [(3, 6, 10), (3, 10, 6), (1, 7, 7)], ids=str)
def test_singular_values_come_near_one_and_directions_stay(generator, shape):
    matrices = torch.randn(shape, generator=generator, dtype=torch.float64)
    before = torch.linalg.svd(matrices, full_matrices=False)
    seen_in_old_directions = before.U.mT @ newton_schulz(matrices) @ before.Vh.mT
    values = seen_in_old_directions.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(seen_in_old_directions, torch.diag_embed(values), rtol=0, atol=1e-12)
    assert values.min() > 0.65
    assert values.max() < 1.25


def test_one_step_is_the_polynomial_of_the_singular_values(generator):
    a, b, c = COEFFICIENTS
    matrix = torch.randn(1, 4, 6, generator=generator, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(matrix[0] / matrix.norm(), full_matrices=False)
    expected = u @ torch.diag(a * s + b * s**3 + c * s**5) @ vh
    torch.testing.assert_close(newton_schulz(matrix, steps=1)[0], expected)


def test_a_batch_is_the_same_as_one_after_another(generator):
    matrices = torch.randn(4, 5, 8, generator=generator, dtype=torch.float64)
    alone = torch.cat([newton_schulz(matrix[None]) for matrix in matrices])
    torch.testing.assert_close(newton_schulz(matrices), alone)


def test_a_zero_gradient_stays_zero():
    assert torch.equal(newton_schulz(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


# --- The optimizer against PyTorch's ---


def test_every_step_equals_torch_muon(generator, monkeypatch):
    """PyTorch always rounds to bfloat16 before Newton-Schulz; kept in float64, both agree to its precision."""
    monkeypatch.setattr(Tensor, "bfloat16", lambda x: x.clone())
    ours = parameters(generator, torch.float64)
    theirs = [nn.Parameter(weight.detach().clone()) for weight in ours]
    mine = Muon(muon_group(ours), lr=0.02, weight_decay=0.1, momentum=0.9)
    reference = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, momentum=0.9)
    for _ in range(6):
        draw_gradients(ours, generator)
        for weight, other in zip(ours, theirs, strict=True):
            other.grad = weight.grad.clone()
        mine.step()
        reference.step()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_in_bfloat16_it_equals_torch_muon_as_it_is(generator):
    ours = parameters(generator)
    theirs = [nn.Parameter(weight.detach().clone()) for weight in ours]
    mine = Muon(muon_group(ours), lr=0.02, product_dtype=torch.bfloat16)
    reference = torch.optim.Muon(theirs, lr=0.02)
    for _ in range(3):
        draw_gradients(ours, generator)
        for weight, other in zip(ours, theirs, strict=True):
            other.grad = weight.grad.clone()
        mine.step()
        reference.step()
    # A step is 0.02 times numbers of up to 1, each rounded to 8 bits.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)


def test_each_expert_is_a_matrix_of_its_own(generator):
    stacked = nn.Parameter(torch.randn(3, 8, 5, generator=generator, dtype=torch.float64))
    apart = [nn.Parameter(matrix.detach().clone()) for matrix in stacked]
    together, single = Muon(muon_group([stacked]), lr=0.1), Muon(muon_group(apart), lr=0.1)
    for _ in range(3):
        draw_gradients([stacked], generator)
        for weight, gradient in zip(apart, stacked.grad, strict=True):
            weight.grad = gradient.clone()
        together.step()
        single.step()
    torch.testing.assert_close(stacked.detach(), torch.stack([weight.detach() for weight in apart]))


def test_the_others_are_moved_by_adamw(generator):
    ours = parameters(generator)
    theirs = [nn.Parameter(weight.detach().clone()) for weight in ours]
    mine = Muon([{"params": ours, "use_muon": False}], lr=0.01, weight_decay=0.2, betas=(0.8, 0.9))
    reference = torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.2, betas=(0.8, 0.9))
    for _ in range(4):
        draw_gradients(ours, generator)
        for weight, other in zip(ours, theirs, strict=True):
            other.grad = weight.grad.clone()
        mine.step()
        reference.step()
    torch.testing.assert_close(ours, theirs)


def test_the_rate_of_muon_is_a_multiple_of_the_scheduled_one(generator):
    fast = parameters(generator)
    slow = [nn.Parameter(weight.detach().clone()) for weight in fast]
    draw_gradients(fast, generator)
    for weight, other in zip(fast, slow, strict=True):
        other.grad = weight.grad.clone()
    Muon(muon_group(fast, lr_factor=5.0), lr=0.01).step()
    Muon(muon_group(slow), lr=0.05).step()
    torch.testing.assert_close(fast, slow)


def test_a_weight_without_a_gradient_stays(generator):
    weights = parameters(generator)
    before = weights[1].detach().clone()
    draw_gradients([weights[0]], generator)
    Muon(muon_group(weights), lr=0.1).step()
    assert torch.equal(weights[1], before)


# --- On a model ---


@pytest.fixture
def with_experts(config):
    moe = MoEConfig(num_experts=5, experts_per_token=2, expert_dim=9, expert_bias=True)
    return Transformer(replace(config, moe=moe, tied_head=False), torch.Generator().manual_seed(0))


def test_muon_takes_the_matrices_of_the_blocks_and_nothing_else(with_experts):
    hidden = set(hidden_matrices(with_experts))
    taken = {name for name, weight in with_experts.named_parameters() if weight in hidden}
    kinds = {name.split(".", 2)[2] for name in taken}
    assert kinds == {
        "attention.query.weight",
        "attention.key.weight",
        "attention.value.weight",
        "attention.output.weight",
        "feed_forward.experts.gate_up",
        "feed_forward.experts.down",
    }


class LowRank(nn.Linear):
    """What an adapter adds to a matrix: two thin ones."""

    def __init__(self, linear):
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None)
        self.weight.requires_grad_(False)
        self.down, self.up = nn.Linear(linear.in_features, 4), nn.Parameter(torch.zeros(linear.out_features, 4))


def test_the_thin_matrices_of_an_adapter_are_left_to_adamw(with_experts, training):
    attention = with_experts.blocks[0].attention
    attention.query = LowRank(attention.query)
    hidden, matrices, others = (group["params"] for group in muon_optimizer(with_experts, training).param_groups)
    for thin in (attention.query.down.weight, attention.query.up):
        assert any(weight is thin for weight in matrices)
    assert not any(weight is attention.query.weight for weight in (*hidden, *matrices, *others))


def test_every_parameter_is_in_exactly_one_group(with_experts, training):
    optimizer = muon_optimizer(with_experts, training)
    grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in with_experts.parameters())
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.1, 0.0]


def test_the_matrices_learn_at_their_own_rate_and_the_rest_at_the_common_one(with_experts, training):
    optimizer = muon_optimizer(with_experts, replace(training, learning_rate=0.004, muon_learning_rate=0.02))
    rates = [0.004 * group.get("lr_factor", 1.0) for group in optimizer.param_groups]
    assert rates == pytest.approx([0.02, 0.004, 0.004])


def trained(model: Transformer, optimizer: torch.optim.Optimizer, steps: int) -> None:
    token_ids = torch.arange(3 * 7).view(3, 7) * 5 % model.config.vocab_size
    for _ in range(steps):
        optimizer.zero_grad()
        logits = model(token_ids[:, :-1])
        nn.functional.cross_entropy(logits.flatten(0, 1), token_ids[:, 1:].flatten()).backward()
        optimizer.step()


def test_its_state_is_saved_and_restored_by_parameter(with_experts, training):
    optimizer = muon_optimizer(with_experts, training)
    trained(with_experts, optimizer, 3)
    state = TrainingState.begin(NextTokenPrediction(with_experts, training))
    state.optimizer = optimizer
    tensors = optimizer_tensors(state)
    assert tensors["momentum/blocks.0.attention.query.weight"].shape == (24, 10)
    assert tensors["step/embedding.weight"] == 3

    copy = Transformer(with_experts.config)
    copy.load_state_dict(with_experts.state_dict())
    resumed = muon_optimizer(copy, training)
    parameters = dict(copy.named_parameters())
    for name, tensor in tensors.items():
        key, _, parameter = name.partition("/")
        if key != "rng":
            resumed.state[parameters[parameter]][key] = tensor.clone()
    trained(with_experts, optimizer, 2)
    trained(copy, resumed, 2)
    assert all(torch.equal(a, b) for a, b in zip(with_experts.parameters(), copy.parameters(), strict=True))


def test_state_dict_goes_there_and_back(model, training):
    optimizer = muon_optimizer(model, training)
    trained(model, optimizer, 2)
    copy = Transformer(model.config)
    copy.load_state_dict(model.state_dict())
    resumed = muon_optimizer(copy, training)
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    trained(model, optimizer, 2)
    trained(copy, resumed, 2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), copy.parameters(), strict=True))
